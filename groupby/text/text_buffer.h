#ifndef KVARTS_GROUPBY_TEXT_TEXT_BUFFER_H_
#define KVARTS_GROUPBY_TEXT_TEXT_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "groupby/grouping.h"

namespace kvarts::groupby_text {

// Not thread-safe. Collects pieces of some bytes for an output that wants larger ones;
// lives on the stack. What was put is on its way after Flush().
class TextBuffer {
 public:
  explicit TextBuffer(Groups::Output* output) : output_(output) {}

  absl::Status Put(absl::string_view piece) {
    if (piece.size() > sizeof bytes_ - size_) {
      KVARTS_RETURN_IF_ERROR(Flush());
      if (piece.size() > sizeof bytes_) {
        flushed_ += piece.size();
        return output_->Append(piece);
      }
    }
    std::memcpy(bytes_ + size_, piece.data(), piece.size());
    size_ += piece.size();
    return absl::OkStatus();
  }
  absl::Status Put(char byte) {
    if (size_ == sizeof bytes_) KVARTS_RETURN_IF_ERROR(Flush());
    bytes_[size_++] = byte;
    return absl::OkStatus();
  }
  absl::Status Flush() {
    const size_t size = size_;
    size_ = 0;
    flushed_ += size;
    return size == 0 ? absl::OkStatus() : output_->Append(absl::string_view(bytes_, size));
  }
  // Of a buffer that is used for one group after the other.
  void StartGroup() { flushed_ = 0 - uint64_t{size_}; }
  // Bytes of the group that were put.
  uint64_t total() const { return flushed_ + size_; }

 private:
  Groups::Output* const output_;
  uint64_t flushed_ = 0;
  size_t size_ = 0;
  char bytes_[16 << 10];  // not zeroed
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_TEXT_BUFFER_H_
