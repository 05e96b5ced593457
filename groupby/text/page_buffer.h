#ifndef KVARTS_GROUPBY_TEXT_PAGE_BUFFER_H_
#define KVARTS_GROUPBY_TEXT_PAGE_BUFFER_H_

#include <cstddef>

#include "absl/status/status.h"

namespace kvarts::groupby_text {

// Not thread-safe. Memory of the system's own pages: what was not touched takes none, it
// grows without a copy beside it, and what is given back is back.
class PageBuffer {
 public:
  PageBuffer() = default;
  ~PageBuffer();
  PageBuffer(const PageBuffer&) = delete;
  PageBuffer& operator=(const PageBuffer&) = delete;

  // Grows or shrinks, and keeps what is in it.
  absl::Status Resize(size_t bytes);

  char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_PAGE_BUFFER_H_
