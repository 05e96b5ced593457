#ifndef KVARTS_STORAGE_MEMORY_RECORD_H_
#define KVARTS_STORAGE_MEMORY_RECORD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/strings/string_view.h"
#include "storage/memory/shared_words.h"

namespace kvarts::memory_internal {

// A value too large to lie in a segment, on the heap. Counted references: the record has
// one, each reader that was lent the bytes another.
struct Blob {
  std::atomic<uint32_t> references{1};
  uint32_t size = 0;
  char* data() { return reinterpret_cast<char*>(this + 1); }

  // Null where there is no memory.
  static Blob* New(absl::string_view value);
  void Ref() { references.fetch_add(1, std::memory_order_relaxed); }
  void Unref();
  // What the heap takes for it, about.
  static size_t MemoryBytes(size_t value) { return (value + sizeof(Blob) + 8 + 15) / 16 * 16; }
};

// A record in the log of a segment, in words of four bytes:
//
//   header | key size, where it is 2047 or more | expiry (2) | stamp (2) | type size, type
//          | key | value, or where it is a blob its address (2)
//
// each part only where the header says so, each filled up to a word.
//
//   header:  0 dead | 1 uuid | 2 expiry | 3 type | 4 blob | 5 stamp | 6 main
//            7-8 uses | 9-20 size of the value | 21-31 size of the key
class RecordHeader {
 public:
  enum Flag : uint32_t {
    kDead = 1 << 0,  // not in the index any more
    kUuid = 1 << 1,  // the key is packed
    kExpiry = 1 << 2,
    kType = 1 << 3,
    kBlob = 1 << 4,
    kStamp = 1 << 5,
    kMain = 1 << 6,  // of the main queue: see eviction.h
  };
  static constexpr uint32_t kUse = 1 << 7;
  static constexpr uint32_t kMaxUses = 3;
  // Any of these: there is more to a record than its key and value.
  static constexpr uint32_t kMore = kExpiry | kType | kStamp | kBlob;
  // Of the key: equal ones are of one kind and size, if that is less than kLongKey.
  static constexpr uint32_t kOfKey = kUuid | uint32_t{0x7ff} << 21;
  // Of the entry, not of its parts.
  static constexpr uint32_t kCarried = kMain | kMaxUses * kUse;
  static constexpr size_t kMaxInlineValue = (1 << 12) - 1;
  static constexpr size_t kLongKey = (1 << 11) - 1;

  RecordHeader() = default;
  explicit RecordHeader(uint32_t word) : word_(word) {}
  RecordHeader(uint32_t flags, size_t inline_value, size_t key)
      : word_(flags | static_cast<uint32_t>(inline_value) << 9 |
              static_cast<uint32_t>(key < kLongKey ? key : kLongKey) << 21) {}

  uint32_t word() const { return word_; }
  // In this queue, with these uses.
  RecordHeader WithQueue(bool main, uint32_t uses) const {
    return RecordHeader((word_ & ~kCarried) | (main ? uint32_t{kMain} : 0) | uses * kUse);
  }
  bool has(uint32_t flag) const { return (word_ & flag) != 0; }
  uint32_t uses() const { return word_ / kUse & kMaxUses; }
  size_t inline_value() const { return word_ >> 9 & kMaxInlineValue; }
  size_t short_key() const { return word_ >> 21; }

 private:
  uint32_t word_ = 0;
};

// Where the parts of a record are, in bytes from its beginning. From loads that may have
// been torn: sizes are bounded by what a header can say and by `kMaxKey`.
struct RecordLayout {
  static constexpr size_t kMaxKey = 64 << 10;
  static constexpr size_t kMaxType = 255;
  // No record is larger, nor does reading one go beyond it.
  static constexpr size_t kMaxBytes = 4 + 4 + 8 + 8 + 4 + RoundToWord(kMaxType) + kMaxKey +
                                      RoundToWord(RecordHeader::kMaxInlineValue);

  RecordHeader header;
  uint32_t expiry = 0;
  uint32_t stamp = 0;
  uint32_t type = 0;
  uint32_t type_size = 0;
  uint32_t key = 0;
  uint32_t key_size = 0;
  uint32_t value = 0;  // or the address of the blob
  uint32_t value_size = 0;
  uint32_t bytes = 0;  // of all, in whole words

  // Of the record at `p`.
  static RecordLayout At(const char* p) { return At(p, RecordHeader(Load32(p))); }
  ABSL_ATTRIBUTE_ALWAYS_INLINE static RecordLayout At(const char* p, RecordHeader header) {
    const size_t key_size = header.short_key();
    if (ABSL_PREDICT_FALSE((header.word() & RecordHeader::kMore) != 0 ||
                           key_size == RecordHeader::kLongKey)) {
      return AtWithMore(p, header);
    }
    RecordLayout out;
    out.header = header;
    out.key = 4;
    out.key_size = static_cast<uint32_t>(key_size);
    out.value = static_cast<uint32_t>(4 + RoundToWord(key_size));
    out.value_size = static_cast<uint32_t>(out.header.inline_value());
    out.bytes = static_cast<uint32_t>(out.value + RoundToWord(out.value_size));
    return out;
  }
  // Of one that is to be written.
  static RecordLayout For(uint32_t flags, size_t type_size, size_t key_size, size_t value_size) {
    RecordLayout out;
    out.header = RecordHeader(flags, (flags & RecordHeader::kBlob) != 0 ? 0 : value_size, key_size);
    out.Place(key_size >= RecordHeader::kLongKey ? 8 : 4, type_size, key_size);
    return out;
  }

  int64_t ExpiresAt(const char* p) const {
    return header.has(RecordHeader::kExpiry) ? static_cast<int64_t>(Load2x32(p + expiry)) : 0;
  }
  uint64_t Stamp(const char* p) const {
    return header.has(RecordHeader::kStamp) ? Load2x32(p + stamp) : 0;
  }
  Blob* BlobOf(const char* p) const { return reinterpret_cast<Blob*>(Load2x32(p + value)); }

 private:
  static RecordLayout AtWithMore(const char* p, RecordHeader header);
  void Place(size_t at, size_t type_bytes, size_t key_bytes) {
    if (header.has(RecordHeader::kExpiry)) {
      expiry = static_cast<uint32_t>(at);
      at += 8;
    }
    if (header.has(RecordHeader::kStamp)) {
      stamp = static_cast<uint32_t>(at);
      at += 8;
    }
    if (header.has(RecordHeader::kType)) {
      type = static_cast<uint32_t>(at + 4);
      type_size = static_cast<uint32_t>(type_bytes);
      at += 4 + RoundToWord(type_bytes);
    }
    key = static_cast<uint32_t>(at);
    key_size = static_cast<uint32_t>(key_bytes);
    at += RoundToWord(key_bytes);
    value = static_cast<uint32_t>(at);
    value_size = static_cast<uint32_t>(header.inline_value());
    at += header.has(RecordHeader::kBlob) ? 8 : RoundToWord(value_size);
    bytes = static_cast<uint32_t>(at);
  }
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_RECORD_H_
