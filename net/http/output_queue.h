#ifndef KVARTS_NET_HTTP_OUTPUT_QUEUE_H_
#define KVARTS_NET_HTTP_OUTPUT_QUEUE_H_

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/read_results.h"

namespace kvarts {

// Not thread-safe. Bytes that wait to be written: text, copied together, and
// values that stay where the store has them until they are consumed.
//
//   front_ ─▶ segments_ ─▶ tail_
//
// Text alone goes from tail_ to front_ by a swap, and their memory is kept: the
// answers to small requests allocate nothing.
class OutputQueue {
 public:
  // For appending to; until the next call of another method.
  std::string* text() { return &tail_; }
  void Append(absl::string_view text) { tail_.append(text.data(), text.size()); }

  // `bytes` are held by `owner`.
  void AppendLent(absl::string_view bytes, ReadResults owner) {
    if (bytes.empty()) return;
    Seal();
    segments_.emplace_back();
    segments_.back().lent = bytes;
    segments_.back().owner = std::move(owner);
    sealed_ += bytes.size();
  }

  // False: a file shrank under a value that waits. Do not send it.
  bool intact() const {
    for (const Segment& segment : segments_) {
      if (!segment.owner.intact()) return false;
    }
    return true;
  }

  size_t size() const { return front_.size() + sealed_ + tail_.size() - consumed_; }
  bool empty() const { return size() == 0; }

  // The first bytes, `*size` of them, `limit` at most, in a few pieces. They stay
  // where they are until Consume(), whatever is appended meanwhile; the span
  // until the next call.
  absl::Span<const absl::string_view> Front(size_t limit, size_t* size) {
    if (front_.empty() && segments_.empty()) {
      std::swap(front_, tail_);
    } else {
      Seal();
    }
    pieces_.clear();
    *size = 0;
    Add(front_, limit, size);
    for (const Segment& segment : segments_) {
      if (*size == limit || pieces_.size() == kMaxPieces) break;
      Add(segment.bytes(), limit, size);
    }
    return pieces_;
  }

  // The first `n` bytes have been written; lent values among them are let go.
  void Consume(size_t n) {
    consumed_ += n;
    if (consumed_ < front_.size()) return;
    consumed_ -= front_.size();
    if (front_.capacity() > kMaxKept) front_ = std::string();
    front_.clear();
    while (!segments_.empty() && consumed_ >= segments_.front().bytes().size()) {
      consumed_ -= segments_.front().bytes().size();
      sealed_ -= segments_.front().bytes().size();
      segments_.pop_front();
    }
  }

 private:
  static constexpr size_t kMaxPieces = 64;
  static constexpr size_t kMaxKept = 16 << 10;

  struct Segment {
    absl::string_view bytes() const { return lent.empty() ? absl::string_view(text) : lent; }

    std::string text;
    absl::string_view lent;
    ReadResults owner;
  };

  // Behind it nothing is appended to the text so far.
  void Seal() {
    if (tail_.empty()) return;
    sealed_ += tail_.size();
    segments_.emplace_back();
    segments_.back().text = std::exchange(tail_, std::string());
  }

  void Add(absl::string_view bytes, size_t limit, size_t* size) {
    if (pieces_.empty() && !bytes.empty()) bytes.remove_prefix(consumed_);
    bytes = bytes.substr(0, limit - *size);
    if (bytes.empty()) return;
    *size += bytes.size();
    pieces_.push_back(bytes);
  }

  std::string front_;
  std::deque<Segment> segments_;
  std::string tail_;
  size_t sealed_ = 0;    // bytes of segments_
  size_t consumed_ = 0;  // of the first that is there
  std::vector<absl::string_view> pieces_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_OUTPUT_QUEUE_H_
