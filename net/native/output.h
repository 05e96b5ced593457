#ifndef KVARTS_NET_NATIVE_OUTPUT_H_
#define KVARTS_NET_NATIVE_OUTPUT_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts {
namespace native {

// Not thread-safe. What one gather write sends: copied bytes, and large ones
// that stay where they are.
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

}  // namespace native
}  // namespace kvarts

#endif  // KVARTS_NET_NATIVE_OUTPUT_H_
