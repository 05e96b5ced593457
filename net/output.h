#ifndef KVARTS_NET_OUTPUT_H_
#define KVARTS_NET_OUTPUT_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts {

// Not thread-safe. What one gather write of a session sends: copied bytes, and
// large ones that stay where they are.
class Output {
 public:
  // Values from this size on are lent: below, a copy costs less than a piece.
  static constexpr size_t kLendFrom = 4 << 10;

  // Append to it.
  std::string& bytes() { return bytes_; }
  // `view` comes behind what was appended so far, and is kept good by a Keep()
  // that follows.
  void Lend(absl::string_view view) {
    lent_.push_back({bytes_.size(), view});
    lent_bytes_ += view.size();
  }
  // `owner`: ReadResults or a ScanPage.
  template <typename Owner>
  void Keep(std::shared_ptr<Owner> owner) {
    kept_.push_back(
        {std::move(owner), [](const void* p) { return static_cast<const Owner*>(p)->intact(); }});
  }
  // Bytes that were copied in may be zeros: the mapping they came from shrank.
  void MarkLost() { lost_ = true; }
  // False: do not send this.
  bool intact() const {
    if (lost_) return false;
    for (const Kept& kept : kept_) {
      if (!kept.intact(kept.owner.get())) return false;
    }
    return true;
  }

  size_t size() const { return bytes_.size() + lent_bytes_; }
  bool empty() const { return size() == 0; }
  // Of those bytes the ones that were lent, and in how many pieces.
  size_t lent_bytes() const { return lent_bytes_; }
  size_t lent_pieces() const { return lent_.size(); }

  // In order; good until the next change.
  absl::Span<const absl::string_view> Pieces() {
    pieces_.clear();
    size_t at = 0;
    for (const Lent& lent : lent_) {
      if (lent.at > at) pieces_.push_back(absl::string_view(bytes_).substr(at, lent.at - at));
      if (!lent.view.empty()) pieces_.push_back(lent.view);
      at = lent.at;
    }
    if (bytes_.size() > at) pieces_.push_back(absl::string_view(bytes_).substr(at));
    return pieces_;
  }

  // Where it ends now.
  struct Mark {
    size_t bytes = 0;
    size_t lent = 0;
    size_t kept = 0;
    size_t lent_bytes = 0;
  };
  Mark mark() const { return {bytes_.size(), lent_.size(), kept_.size(), lent_bytes_}; }
  // Takes back what came behind `mark`, of this output since its last Clear().
  void Rewind(const Mark& mark) {
    bytes_.resize(mark.bytes);
    lent_.resize(mark.lent);
    kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(mark.kept), kept_.end());
    lent_bytes_ = mark.lent_bytes;
  }

  void Clear() {
    if (bytes_.capacity() > (256 << 10)) {
      bytes_ = std::string();
    } else {
      bytes_.clear();
    }
    lent_.clear();
    kept_.clear();
    lost_ = false;
    lent_bytes_ = 0;
  }

 private:
  struct Lent {
    size_t at;  // in bytes_
    absl::string_view view;
  };

  struct Kept {
    std::shared_ptr<const void> owner;
    bool (*intact)(const void* owner);
  };

  std::string bytes_;
  std::vector<Lent> lent_;
  std::vector<Kept> kept_;
  bool lost_ = false;
  std::vector<absl::string_view> pieces_;
  size_t lent_bytes_ = 0;
};

}  // namespace kvarts

#endif  // KVARTS_NET_OUTPUT_H_
