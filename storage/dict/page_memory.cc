#include "storage/dict/page_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kHugeBytes = 2 << 20;

}  // namespace

PageMemory& PageMemory::operator=(PageMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

PageMemory::~PageMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

absl::StatusOr<PageMemory> PageMemory::Reserve(size_t bytes, bool huge) {
  // A huge page begins at a multiple of its size: what lies before is cut off.
  const bool aligned = huge && bytes >= kHugeBytes;
  const size_t unit = aligned ? kHugeBytes : kPageBytes;
  const size_t size = (std::max<size_t>(bytes, 1) + unit - 1) / unit * unit;
  const size_t slack = aligned ? kHugeBytes : 0;
  void* const got = ::mmap(nullptr, size + slack, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no room for ", size, " bytes: ", std::strerror(errno)));
  }
  PageMemory memory;
  memory.data_ = static_cast<char*>(got);
  memory.size_ = size;
  if (aligned) {
    const size_t before = -reinterpret_cast<uintptr_t>(got) % kHugeBytes;
    if (before > 0) ::munmap(memory.data_, before);
    memory.data_ += before;
    if (slack > before) ::munmap(memory.data_ + size, slack - before);
    ::madvise(memory.data_, size, MADV_HUGEPAGE);  // only ever a hint
  }
  return memory;
}

void PageMemory::GiveBack(char* p, size_t size) { ::madvise(p, size, MADV_DONTNEED); }

}  // namespace kvarts
