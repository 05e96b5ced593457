#ifndef KVARTS_GROUPBY_TEXT_PACKED_INPUT_H_
#define KVARTS_GROUPBY_TEXT_PACKED_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "groupby/text/byte_source.h"

namespace kvarts::groupby_text {

// Not thread-safe. What a decompressor takes from: a window over the compressed bytes.
class PackedInput {
 public:
  explicit PackedInput(std::unique_ptr<ByteSource> source)
      : source_(std::move(source)), bytes_(new char[kBytes]) {}

  // Tries to have `want` bytes (at most 64 KiB) at hand; fewer at the end.
  absl::Status Want(size_t want) {
    if (end_ - begin_ >= want) return absl::OkStatus();
    std::memmove(bytes_.get(), bytes_.get() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
    while (end_ < want && !at_end_) {
      KVARTS_ASSIGN_OR_RETURN(const size_t n, source_->Read(bytes_.get() + end_, kBytes - end_));
      end_ += n;
      at_end_ = n == 0;
    }
    return absl::OkStatus();
  }
  absl::string_view bytes() const {
    return absl::string_view(bytes_.get() + begin_, end_ - begin_);
  }
  void Take(size_t bytes) {
    begin_ += bytes;
    offset_ += bytes;
  }
  // Of bytes() in the file.
  uint64_t offset() const { return offset_; }
  uint64_t size() const { return source_->size(); }

 private:
  static constexpr size_t kBytes = 128 << 10;

  const std::unique_ptr<ByteSource> source_;
  const std::unique_ptr<char[]> bytes_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool at_end_ = false;
  uint64_t offset_ = 0;
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_PACKED_INPUT_H_
