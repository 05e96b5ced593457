#include "groupby/text/page_buffer.h"

#include <sys/mman.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace kvarts::groupby_text {

PageBuffer::~PageBuffer() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

absl::Status PageBuffer::Resize(size_t bytes) {
  if (bytes == size_) return absl::OkStatus();
  void* const moved = data_ == nullptr ? ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                       : ::mremap(data_, size_, bytes, MREMAP_MAYMOVE);
  if (moved == MAP_FAILED) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot allocate ", bytes, " bytes"));
  }
  data_ = static_cast<char*>(moved);
  size_ = bytes;
  return absl::OkStatus();
}

}  // namespace kvarts::groupby_text
