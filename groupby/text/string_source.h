#ifndef KVARTS_GROUPBY_TEXT_STRING_SOURCE_H_
#define KVARTS_GROUPBY_TEXT_STRING_SOURCE_H_

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "groupby/text/byte_source.h"

namespace kvarts::groupby_text {

// Not thread-safe. An input for tests: a text that comes `step` bytes at a time, and an
// error where it ends, if one is given.
class StringSource final : public ByteSource {
 public:
  explicit StringSource(std::string text, size_t step = SIZE_MAX,
                        absl::Status end = absl::OkStatus())
      : text_(std::move(text)), step_(step), end_(std::move(end)) {}

  absl::StatusOr<size_t> Read(char* to, size_t room) override {
    const size_t n = std::min({room, step_, text_.size() - at_});
    if (n == 0 && !end_.ok()) return end_;
    std::memcpy(to, text_.data() + at_, n);
    at_ += n;
    return n;
  }
  uint64_t position() const override { return at_; }
  uint64_t size() const override { return text_.size(); }

 private:
  const std::string text_;
  const size_t step_;
  const absl::Status end_;
  size_t at_ = 0;
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_STRING_SOURCE_H_
