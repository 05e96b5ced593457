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
constexpr size_t kLarge = 16 << 20;

size_t RoundUp(size_t n) { return (n + kPage - 1) / kPage * kPage; }

absl::Status NoAddressSpace(size_t bytes) {
  return absl::ResourceExhaustedError(
      absl::StrCat("cannot map ", bytes, " bytes of memory: ", std::strerror(errno)));
}

}  // namespace

absl::Status MappedRegion::Map(size_t bytes) {
  assert(data_ == nullptr);
  void* const mapping = mmap(nullptr, RoundUp(bytes), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return NoAddressSpace(bytes);
  data_ = static_cast<char*>(mapping);
  size_ = bytes;
  if (bytes >= kLarge) madvise(data_, RoundUp(bytes), MADV_HUGEPAGE);
  return absl::OkStatus();
}

absl::Status MappedRegion::Grow(size_t bytes) {
  if (data_ == nullptr) return Map(bytes);
  if (bytes <= size_) return absl::OkStatus();
  void* const mapping = mremap(data_, RoundUp(size_), RoundUp(bytes), MREMAP_MAYMOVE);
  if (mapping == MAP_FAILED) return NoAddressSpace(bytes);
  data_ = static_cast<char*>(mapping);
  size_ = bytes;
  if (bytes >= kLarge) madvise(data_, RoundUp(bytes), MADV_HUGEPAGE);
  return absl::OkStatus();
}

void MappedRegion::Touch(size_t from) {
#ifdef MADV_POPULATE_WRITE
  // Where the system knows no such thing, pages come one by one.
  const size_t begin = from / kPage * kPage;
  if (begin < size_) madvise(data_ + begin, RoundUp(size_) - begin, MADV_POPULATE_WRITE);
#endif
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
