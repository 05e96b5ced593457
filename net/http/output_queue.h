#ifndef KVARTS_NET_HTTP_OUTPUT_QUEUE_H_
#define KVARTS_NET_HTTP_OUTPUT_QUEUE_H_

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/read_results.h"

namespace kvarts {

// Not thread-safe. Bytes that wait to be written: text, copied together, and
// values that stay where the store has them until they are consumed.
class OutputQueue {
 public:
  void Append(absl::string_view text) {
    if (text.empty()) return;
    if (segments_.size() <= fixed_ || !segments_.back().is_text) {
      segments_.emplace_back();
      segments_.back().is_text = true;
    }
    segments_.back().text.append(text.data(), text.size());
    size_ += text.size();
  }

  // `bytes` are held by `owner`.
  void AppendLent(absl::string_view bytes, ReadResults owner) {
    if (bytes.empty()) return;
    segments_.emplace_back();
    segments_.back().lent = bytes;
    segments_.back().owner = std::move(owner);
    size_ += bytes.size();
  }

  // False: a file shrank under a value that waits. Do not send it.
  bool intact() const {
    for (const Segment& segment : segments_) {
      if (!segment.owner.intact()) return false;
    }
    return true;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The first bytes, `limit` at most, in a few pieces. They stay where they are
  // until Consume(), whatever is appended meanwhile.
  std::vector<absl::string_view> Front(size_t limit) {
    std::vector<absl::string_view> pieces;
    for (const Segment& segment : segments_) {
      if (limit == 0 || pieces.size() == kMaxPieces) break;
      absl::string_view bytes = segment.bytes();
      if (pieces.empty()) bytes.remove_prefix(consumed_);
      bytes = bytes.substr(0, limit);
      limit -= bytes.size();
      pieces.push_back(bytes);
    }
    fixed_ = pieces.size();
    return pieces;
  }

  // The first `n` bytes have been written; lent values among them are let go.
  void Consume(size_t n) {
    fixed_ = 0;
    size_ -= n;
    consumed_ += n;
    while (!segments_.empty() && consumed_ >= segments_.front().bytes().size()) {
      consumed_ -= segments_.front().bytes().size();
      segments_.pop_front();
    }
  }

 private:
  static constexpr size_t kMaxPieces = 64;

  struct Segment {
    absl::string_view bytes() const { return is_text ? absl::string_view(text) : lent; }

    bool is_text = false;
    std::string text;
    absl::string_view lent;
    ReadResults owner;
  };

  std::deque<Segment> segments_;
  size_t size_ = 0;
  size_t consumed_ = 0;  // of the first segment
  size_t fixed_ = 0;     // segments whose bytes are lent out by Front()
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_OUTPUT_QUEUE_H_
