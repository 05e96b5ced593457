#include "groupby/spill/mapped_region.h"

#include <sys/mman.h>

#include <cassert>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kPage = 4096;
// From here on huge pages, which make scattered accesses cheaper, are worth the part of
// the last one that is resident for nothing.
constexpr size_t kLarge = 64 << 20;

size_t RoundUp(size_t n) { return (n + kPage - 1) / kPage * kPage; }

}  // namespace

absl::Status MappedRegion::Map(size_t bytes) {
  assert(data_ == nullptr);
  void* const mapping = mmap(nullptr, RoundUp(bytes), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot map ", bytes, " bytes of memory: ", std::strerror(errno)));
  }
  data_ = static_cast<char*>(mapping);
  size_ = bytes;
  if (bytes >= kLarge) madvise(data_, RoundUp(bytes), MADV_HUGEPAGE);
  return absl::OkStatus();
}

void MappedRegion::Free() {
  if (data_ != nullptr) munmap(data_, RoundUp(size_));
  data_ = nullptr;
  size_ = 0;
}

void MappedRegion::Trim(size_t keep) {
  const size_t from = RoundUp(keep);
  const size_t end = RoundUp(size_);
  if (from < end) madvise(data_ + from, end - from, MADV_DONTNEED);
}

}  // namespace kvarts::groupby_internal
