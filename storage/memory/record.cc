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

}  // namespace kvarts::memory_internal
