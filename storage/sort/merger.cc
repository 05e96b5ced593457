#include "storage/sort/merger.h"

#include <algorithm>
#include <utility>

namespace kvarts::sort_internal {

void Merger::Reserve(size_t runs) {
  sources_.reserve(runs);
  tree_.Reserve(runs);
}

void Merger::Add(RunReader reader, const RunInfo& run) {
  sources_.emplace_back(std::move(reader), run.common);
}

absl::Status Merger::Start() {
  const size_t n = sources_.size();
  depth_ = SIZE_MAX;
  for (Source& source : sources_) {
    source.done = !source.reader.Next(&source.record);
    if (source.done) {
      status_ = source.reader.status();
      if (!status_.ok()) return status_;
      continue;
    }
    // The runs' own common prefixes, as far as they agree.
    const Record& first = sources_[0].record;
    const size_t most = std::min<size_t>({depth_, source.common, first.key_size});
    const auto ends =
        std::mismatch(first.key, first.key + most, source.record.key, source.record.key + most);
    depth_ = static_cast<size_t>(ends.first - first.key);
  }
  tree_.Build(
      n,
      [this](size_t i) {
        const Source& source = sources_[i];
        return source.done ? LoserTree::kEnded
                           : KeyWord(source.record.key, source.record.key_size, depth_);
      },
      [this](uint64_t x, uint64_t y) { return TieLess(x, y); });
  ended_ = sources_[tree_.source()].done;
  fresh_ = !ended_;
  return absl::OkStatus();
}

bool Merger::TieLess(uint64_t a, uint64_t b) const {
  const Source& x = sources_[a];
  const Source& y = sources_[b];
  if (x.done || y.done) return x.done == y.done ? a < b : y.done;
  const int order =
      CompareKeys(x.record.key, x.record.key_size, y.record.key, y.record.key_size, depth_);
  return order != 0 ? order < 0 : a < b;
}

bool Merger::Advance() {
  Source& source = sources_[tree_.source()];
  uint64_t word = LoserTree::kEnded;
  if (source.reader.Next(&source.record)) [[likely]] {
    word = KeyWord(source.record.key, source.record.key_size, depth_);
  } else {
    if (!source.reader.status().ok()) {
      status_ = source.reader.status();
      ended_ = true;
      return false;
    }
    source.done = true;
  }
  tree_.Replace(word, [this](uint64_t x, uint64_t y) { return TieLess(x, y); });
  ended_ = sources_[tree_.source()].done;
  return !ended_;
}

}  // namespace kvarts::sort_internal
