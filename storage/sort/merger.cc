#include "storage/sort/merger.h"

#include <algorithm>
#include <utility>

namespace kvarts::sort_internal {

void Merger::Reserve(size_t runs) {
  sources_.reserve(runs);
  nodes_.reserve(2 * runs);
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
  nodes_.assign(2 * n, Node());
  for (size_t i = 0; i < n; ++i) {
    const Source& source = sources_[i];
    nodes_[n + i].source = i;
    nodes_[n + i].word =
        source.done ? UINT64_MAX : KeyWord(source.record.key, source.record.key_size, depth_);
  }
  // Winners go up; then each node keeps the child that lost.
  for (size_t i = n - 1; i > 0; --i) {
    nodes_[i] = Less(nodes_[2 * i + 1], nodes_[2 * i]) ? nodes_[2 * i + 1] : nodes_[2 * i];
  }
  top_ = nodes_[1];
  for (size_t i = 1; i < n; ++i) {
    nodes_[i] = nodes_[i].source == nodes_[2 * i].source ? nodes_[2 * i + 1] : nodes_[2 * i];
  }
  ended_ = sources_[top_.source].done;
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
  Source& source = sources_[top_.source];
  if (source.reader.Next(&source.record)) [[likely]] {
    top_.word = KeyWord(source.record.key, source.record.key_size, depth_);
  } else {
    if (!source.reader.status().ok()) {
      status_ = source.reader.status();
      ended_ = true;
      return false;
    }
    source.done = true;
    top_.word = UINT64_MAX;
  }
  Node winner = top_;
  for (size_t i = (sources_.size() + winner.source) / 2; i > 0; i /= 2) {
    const Node loser = nodes_[i];
    bool less = loser.word < winner.word;
    if (loser.word == winner.word) [[unlikely]] {
      less = TieLess(loser.source, winner.source);
    }
    nodes_[i].word = less ? winner.word : loser.word;
    nodes_[i].source = less ? winner.source : loser.source;
    winner.word = less ? loser.word : winner.word;
    winner.source = less ? loser.source : winner.source;
  }
  top_ = winner;
  ended_ = sources_[top_.source].done;
  return !ended_;
}

}  // namespace kvarts::sort_internal
