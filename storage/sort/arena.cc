#include "storage/sort/arena.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace kvarts::sort_internal {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = 2 << 20;

size_t RoundUp(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

Arena::~Arena() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_size_);
}

absl::Status Arena::Reserve(size_t size, size_t scratch_size) {
  // Huge pages make the scattered accesses of sort and spill cheaper. Aligned so
  // that the system takes whole ones inside of the region only.
  const size_t align = size >= 4 * kHugePage ? kHugePage : kPage;
  size_ = size / sizeof(Entry) * sizeof(Entry);
  mapping_size_ = RoundUp(size_, kPage) + align - kPage;
  void* mapping = mmap(nullptr, mapping_size_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot reserve ", size, " bytes for sorting: ", std::strerror(errno)));
  }
  mapping_ = static_cast<char*>(mapping);
  data_ = reinterpret_cast<char*>(RoundUp(reinterpret_cast<uintptr_t>(mapping_), align));
  end_ = data_ + size_;
  if (align == kHugePage) madvise(data_, RoundUp(size_, kPage), MADV_HUGEPAGE);
  scratch_size_ = scratch_size;
  entries_ = reinterpret_cast<Entry*>(data_ + scratch_size);
  Clear();
  return absl::OkStatus();
}

void Arena::Sort() {
  SortEntries(entries_, count_, end_, reinterpret_cast<Entry*>(scratch()),
              scratch_size_ / sizeof(Entry));
}

void Arena::Clear() {
  count_ = 0;
  used_ = 0;
  free_ = size_ - scratch_size_;
}

void Arena::Release(size_t keep) {
  const size_t from = RoundUp(keep, kPage);
  const size_t end = RoundUp(size_, kPage);
  if (from < end) madvise(data_ + from, end - from, MADV_DONTNEED);
}

}  // namespace kvarts::sort_internal
