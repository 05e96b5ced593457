#include "storage/memory/ghosts.h"

#include <algorithm>
#include <utility>

namespace kvarts::memory_internal {

void Ghosts::Fit(size_t entries) {
  while (entries > kLineSlots << bits_) Double();
  // A line that is half full is no reason yet.
  while (bits_ > 0 && entries <= kLineSlots / 4 << bits_) Halve();
  looked_ = std::min(kLineSlots, (entries >> bits_) + 1);
}

void Ghosts::Double() {
  std::vector<Line> lines(2 * lines_.size());
  // Of which half a print was is not known: it is in both, and leaves one unseen.
  for (size_t i = 0; i < lines.size(); ++i) lines[i] = lines_[i / 2];
  lines_ = std::move(lines);
  ++bits_;
}

void Ghosts::Halve() {
  std::vector<Line> lines(lines_.size() / 2);
  for (size_t i = 0; i < lines.size(); ++i) {
    for (size_t k = 0; k < kLineSlots; ++k) {
      lines[i].prints[k] = lines_[2 * i + k % 2].prints[k / 2];
    }
  }
  lines_ = std::move(lines);
  --bits_;
}

void Ghosts::Add(uint64_t hash, int depth) {
  Line& line = lines_[LineOf(hash, depth)];
  std::move_backward(line.prints.begin(), line.prints.end() - 1, line.prints.end());
  line.prints[0] = Print(hash);
}

bool Ghosts::Has(uint64_t hash, int depth) const {
  const Line& line = lines_[LineOf(hash, depth)];
  const auto end = line.prints.begin() + static_cast<ptrdiff_t>(looked_);
  return std::find(line.prints.begin(), end, Print(hash)) != end;
}

std::unique_ptr<Ghosts> Ghosts::SplitUpper() {
  if (bits_ == 0) Double();
  auto upper = std::make_unique<Ghosts>();
  const auto middle = lines_.begin() + static_cast<ptrdiff_t>(lines_.size() / 2);
  upper->lines_.assign(middle, lines_.end());
  lines_ = std::vector<Line>(lines_.begin(), middle);
  upper->bits_ = --bits_;
  upper->looked_ = looked_;
  return upper;
}

}  // namespace kvarts::memory_internal
