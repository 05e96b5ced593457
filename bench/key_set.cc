#include "bench/key_set.h"

#include <algorithm>
#include <utility>

namespace kvarts {

void KeySet::Builder::Add(absl::string_view key) {
  if (added_++ % stride_ != 0) return;
  while (!ends_.empty() &&
         bytes_.size() + key.size() + (ends_.size() + 1) * sizeof ends_[0] > max_bytes_) {
    Thin();
    if ((added_ - 1) % stride_ != 0) return;
    if (ends_.size() == 1) break;  // a single key that fills the bound
  }
  bytes_.append(key.data(), key.size());
  ends_.push_back(static_cast<uint32_t>(bytes_.size()));
}

void KeySet::Builder::Thin() {
  stride_ *= 2;
  uint32_t end = 0;
  for (size_t i = 0; i < ends_.size(); i += 2) {
    const uint32_t begin = i == 0 ? 0 : ends_[i - 1];
    const uint32_t size = ends_[i] - begin;
    std::copy_n(bytes_.begin() + begin, size, bytes_.begin() + end);
    ends_[i / 2] = end += size;
  }
  ends_.resize((ends_.size() + 1) / 2);
  bytes_.resize(end);
}

KeySet KeySet::Builder::Build() && { return {std::move(bytes_), std::move(ends_)}; }

}  // namespace kvarts
