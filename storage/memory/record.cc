#include "storage/memory/record.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace kvarts::memory_internal {

Blob* Blob::New(absl::string_view value) {
  void* const memory = std::malloc(sizeof(Blob) + value.size());
  if (memory == nullptr) return nullptr;
  Blob* const blob = new (memory) Blob;
  blob->size = static_cast<uint32_t>(value.size());
  std::memcpy(blob->data(), value.data(), value.size());
  return blob;
}

void Blob::Unref() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    this->~Blob();
    std::free(this);
  }
}

RecordLayout RecordLayout::AtWithMore(const char* p, RecordHeader header) {
  RecordLayout out;
  out.header = header;
  size_t key_size = header.short_key();
  size_t at = 4;
  if (key_size == RecordHeader::kLongKey) {
    const size_t said = Load32(p + at);
    key_size = said < kMaxKey ? said : kMaxKey;
    at += 4;
  }
  size_t type_size = 0;
  if (header.has(RecordHeader::kType)) {
    const size_t type_at = at + (header.has(RecordHeader::kExpiry) ? 8 : 0) +
                           (header.has(RecordHeader::kStamp) ? 8 : 0);
    type_size = Load32(p + type_at) & kMaxType;
  }
  out.Place(at, type_size, key_size);
  return out;
}

}  // namespace kvarts::memory_internal
