#include "groupby/sorted/run_merger.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "base/status_macros.h"

namespace kvarts::groupby_internal {

using sort_internal::CompareKeys;
using sort_internal::KeyWord;
using sort_internal::LoserTree;

RunMerger::RunMerger(size_t runs, size_t max_key, SortCounter* comparisons)
    : key_(new char[std::max<size_t>(max_key, 1)]), max_key_(max_key), comparisons_(comparisons) {
  sources_.reserve(runs);
  tree_.Reserve(runs);
}

uint64_t RunMerger::WordOf(uint64_t source) const {
  const RunReader& reader = sources_[source].reader;
  if (reader.at_end()) return LoserTree::kEnded;
  return KeyWord(reader.key().data(), reader.key().size(), depth_);
}

bool RunMerger::TieLess(uint64_t a, uint64_t b) const {
  const RunReader& x = sources_[a].reader;
  const RunReader& y = sources_[b].reader;
  if (x.at_end() || y.at_end()) return x.at_end() == y.at_end() ? a < b : y.at_end();
  const int order =
      CompareKeys(x.key().data(), x.key().size(), y.key().data(), y.key().size(), depth_);
  return order != 0 ? order < 0 : a < b;
}

absl::Status RunMerger::Start() {
  const size_t n = sources_.size();
  assert(n > 0);
  depth_ = SIZE_MAX;
  for (Source& source : sources_) {
    KVARTS_RETURN_IF_ERROR(source.reader.Start());
    // The runs' own common prefixes, as far as they agree.
    const absl::string_view key = source.reader.key();
    const absl::string_view first = sources_[0].reader.key();
    const size_t most = std::min({depth_, source.reader.run().common, first.size(), key.size()});
    const auto ends = std::mismatch(first.data(), first.data() + most, key.data());
    depth_ = static_cast<size_t>(ends.first - first.data());
  }
  tree_.Build(
      n, [this](size_t i) { return WordOf(i); },
      [this](uint64_t x, uint64_t y) { return TieLess(x, y); });
  comparisons_->Add(n - 1);
  return absl::OkStatus();
}

void RunMerger::Replay() {
  comparisons_->Add(tree_.Replace(WordOf(tree_.source()),
                                  [this](uint64_t x, uint64_t y) { return TieLess(x, y); }));
}

bool RunMerger::IsGroupsKey() const {
  const RunReader& reader = sources_[tree_.source()].reader;
  return tree_.word() == key_word_ && !reader.at_end() && reader.key() == key();
}

absl::StatusOr<bool> RunMerger::NextGroup() {
  for (;;) {
    KVARTS_ASSIGN_OR_RETURN(RunReader* const part, Part());
    if (part == nullptr) break;
    KVARTS_RETURN_IF_ERROR(part->Skip());
  }
  const RunReader& reader = sources_[tree_.source()].reader;
  if (reader.at_end()) return false;
  if (reader.key().size() > max_key_) {
    return reader.Damaged("a key is longer than all that were written");
  }
  key_size_ = reader.key().size();
  std::copy_n(reader.key().data(), key_size_, key_.get());
  key_word_ = tree_.word();
  in_group_ = true;
  return true;
}

absl::StatusOr<RunReader*> RunMerger::Part() {
  while (in_group_) {
    RunReader& reader = sources_[tree_.source()].reader;
    if (reader.left() > 0) return &reader;
    KVARTS_ASSIGN_OR_RETURN(const bool same, reader.More());
    if (same) return &reader;
    Replay();
    in_group_ = IsGroupsKey();
  }
  return nullptr;
}

uint64_t RunMerger::bytes_read() const {
  uint64_t bytes = 0;
  for (const Source& source : sources_) bytes += source.reader.bytes_read();
  return bytes;
}

}  // namespace kvarts::groupby_internal
