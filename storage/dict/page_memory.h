#ifndef KVARTS_STORAGE_DICT_PAGE_MEMORY_H_
#define KVARTS_STORAGE_DICT_PAGE_MEMORY_H_

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"

namespace kvarts {

// Anonymous memory of the system's, page-aligned and zero. It takes up room
// where it was touched only, and pages can be given back one by one. Not
// thread-safe, but for GiveBack() of different pages.
class PageMemory {
 public:
  PageMemory() = default;
  PageMemory(PageMemory&& other) noexcept { *this = std::move(other); }
  PageMemory& operator=(PageMemory&& other) noexcept;
  ~PageMemory();

  // `huge`: of 2 MiB pages where the system has them, so that random access
  // misses no page tables. kResourceExhausted where there is no address space.
  static absl::StatusOr<PageMemory> Reserve(size_t bytes, bool huge);

  char* data() const { return data_; }
  size_t size() const { return size_; }

  // The pages of [p, p + size) become untouched again.
  static void GiveBack(char* p, size_t size);

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DICT_PAGE_MEMORY_H_
