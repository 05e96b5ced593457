#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "storage/data_file/data_file.h"
#include "storage/store.h"

namespace kvarts {
namespace {

// How far a value's end is looked for before asking whether the mapping is
// still whole: a file cut off under it would else be walked page by page.
constexpr size_t kFirstStep = 4096;

#if defined(__SSE2__)
constexpr uint64_t kBlock = 64;
constexpr uint64_t kPage = 4096;

// A bit for each newline among the 64 bytes at `p`.
inline uint64_t Newlines(const char* p) {
  const __m128i newline = _mm_set1_epi8('\n');
  uint64_t mask = 0;
  for (int i = 0; i < 4; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + i);
    const uint32_t bits = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, newline));
    mask |= static_cast<uint64_t>(bits) << (16 * i);
  }
  return mask;
}

// The newline among the first bytes of a short value, null where it is not
// there. memchr() branches on how the bytes are aligned and on what they are; a
// branch that waits for memory and goes wrong undoes what the processor began of
// the next lookup. Whole blocks go right for values of like sizes. None reaches
// into a page that the value may not.
inline const char* FindNear(const char* start, uint64_t limit) {
  for (uint64_t done = 0; done < 4 * kBlock; done += kBlock) {
    const char* const p = start + done;
    if (limit - done < kBlock || reinterpret_cast<uintptr_t>(p) % kPage > kPage - kBlock) break;
    const uint64_t mask = Newlines(p);
    if (mask != 0) return p + __builtin_ctzll(mask);
    if (limit - done == kBlock) break;
  }
  return nullptr;
}
#else
inline const char* FindNear(const char*, uint64_t) { return nullptr; }
#endif

}  // namespace

bool DataFileMap::Shrunk() const {
  if (file_->poisoned()) return true;
  const auto now = file_->CurrentSize();
  return !now.ok() || *now < file_->size();
}

bool DataFileMap::Value(uint64_t begin, absl::string_view* value) const {
  const char* const start = data() + begin;
  const uint64_t limit = std::min<uint64_t>(size() - begin, kMaxValueBytes + 1);
  if (const char* const newline = FindNear(start, limit)) {
    *value = absl::string_view(start, newline - start);
    return true;
  }
  uint64_t done = 0;
  size_t step = kFirstStep;
  while (done < limit) {
    const size_t part = std::min<uint64_t>(step, limit - done);
    const void* const newline = std::memchr(start + done, '\n', part);
    if (newline != nullptr) {
      *value = absl::string_view(start, static_cast<const char*>(newline) - start);
      return true;
    }
    if (file_->poisoned()) return false;
    done += part;
    step = std::min<size_t>(step * 2, 1 << 20);
  }
  // The last line may lack its newline. Nothing marks its end but the file's,
  // and behind a new end zeros would be read up to the end of its page.
  if (begin + limit != size() || Shrunk()) return false;
  *value = absl::string_view(start, limit);
  return true;
}

DataFileMap::Match DataFileMap::FindEnd(uint64_t offset, absl::string_view key,
                                        absl::string_view* value) const {
  const uint64_t room = offset < size() ? size() - offset : 0;
  const char* const record = data() + offset;
  if (room > key.size() && Equal(record, key) && record[key.size()] == ' ') {
    if (!Value(offset + key.size() + 1, value)) return Match::kLost;
    return Match::kEqual;
  }
  // Rare: another key with the same bits in the index, or a file that shrank.
  absl::string_view other;
  if (Shrunk() || !Get(offset, &other, nullptr)) return Match::kLost;
  return key < other ? Match::kLess : Match::kGreater;
}

bool DataFileMap::Get(uint64_t offset, absl::string_view* key, absl::string_view* value) const {
  if (offset >= size()) return false;
  const char* const record = data() + offset;
  const size_t room = std::min<uint64_t>(size() - offset, kMaxKeyBytes + 1);
  const char* const space = static_cast<const char*>(std::memchr(record, ' ', room));
  if (space == nullptr) return false;
  *key = absl::string_view(record, space - record);
  return value == nullptr || Value(offset + key->size() + 1, value);
}

}  // namespace kvarts
