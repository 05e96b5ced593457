#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "groupby/aggregate/part_queue.h"
#include "groupby/aggregate/part_reader.h"
#include "groupby/aggregate/results.h"
#include "groupby/spill/ordered_writer.h"
#include "storage/sort/loser_tree.h"
#include "storage/sort/sorter.h"

namespace kvarts::groupby_internal {
namespace {

// Results of the groups as they come by hash, sorted by their keys in runs: each thread has
// parts, and a sorter, of its own.
class SortedResults final : public Results {
 public:
  explicit SortedResults(AggregationCore* core) : core_(*core) {}
  ~SortedResults() override {
    sources_.clear();
    core_.account()->Release(reserved_);
  }

  absl::Status Init() {
    const size_t memory =
        std::max(SorterOptions::kMinMemory, core_.account()->budget()->fair_share() / 3);
    KVARTS_RETURN_IF_ERROR(core_.account()->Reserve(memory));
    reserved_ = memory;
    const size_t count =
        std::min(static_cast<size_t>(core_.options().threads), memory / SorterOptions::kMinMemory);
    SorterOptions options;
    options.memory_bytes = memory / count;
    options.fs = core_.options().fs;
    std::vector<std::unique_ptr<Sorter>> sorters;
    for (size_t i = 0; i < count; ++i) {
      KVARTS_ASSIGN_OR_RETURN(const std::string path, core_.folder()->NewPath("sort"));
      options.temp_dir = DirName(path);
      options.temp_prefix =
          path.substr(DirName(path).size() + 1);  // the folder's Remove() knows it
      KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Sorter> sorter, Sorter::New(options));
      sorters.push_back(std::move(sorter));
    }
    sources_.resize(count);
    PartQueue queue(&core_);
    ForkJoin(static_cast<int>(count), [&](int thread) {
      const auto i = static_cast<size_t>(thread);
      const absl::Status status = Sort(&queue, sorters[i].get(), &sources_[i]);
      if (!status.ok()) core_.Fail(status).IgnoreError();
      queue.WakeAll();
    });
    KVARTS_RETURN_IF_ERROR(core_.status());
    tree_.Build(
        count, [this](size_t i) { return sources_[i].word(); }, TieLess{this});
    return absl::OkStatus();
  }

  absl::StatusOr<const GroupResults*> Next() override {
    if (!core_.ok()) return core_.status();
    // The one that was shown last is good until now.
    if (shown_ != nullptr) {
      KVARTS_RETURN_IF_ERROR(shown_->Next());
      tree_.Replace(shown_->word(), TieLess{this});
    }
    shown_ = &sources_[tree_.source()];
    if (shown_->ended) return nullptr;
    group_.Load(shown_->key, shown_->payload, core_.layout().items().size());
    return &group_;
  }

  // On the calling thread: it takes what the last merge gives.
  absl::Status Drain(const AggregateGroups::Render& render, const Groups::Write& write) override {
    OrderedWriter writer(&core_, core_.pool(), write, 0, core_.waiting_text_bytes());
    OrderedWriter::Text text(&writer, 0, 1);
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const GroupResults* const group, Next());
      if (group == nullptr) return text.End();
      KVARTS_RETURN_IF_ERROR(render(group->key(), group->results(), &text));
      core_.CountGroups(1);
    }
  }

 private:
  // What one sorter gives.
  struct Source {
    std::unique_ptr<SortedRecords> records;
    absl::string_view key;
    absl::string_view payload;
    bool ended = false;

    absl::Status Next() {
      KVARTS_ASSIGN_OR_RETURN(const bool more, records->Next(&key, &payload));
      ended = !more;
      return absl::OkStatus();
    }
    uint64_t word() const { return ended ? sort_internal::LoserTree::kEnded : KeyPrefix(key); }
  };
  struct TieLess {
    const SortedResults* results;
    bool operator()(uint64_t a, uint64_t b) const {
      const Source& x = results->sources_[a];
      const Source& y = results->sources_[b];
      if (x.ended || y.ended) return !x.ended;
      return x.key < y.key;
    }
  };

  // One thread's parts.
  absl::Status Sort(PartQueue* queue, Sorter* sorter, Source* source) {
    PartReader reader(&core_, queue);
    GroupResults group;
    std::string payload;
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const bool more, reader.Open());
      if (!more) break;
      while (const StateEntry* const entry = reader.Next()) {
        if (!core_.ok()) return core_.status();
        KVARTS_RETURN_IF_ERROR(group.Finish(core_.layout(), *entry));
        group.Save(&payload);
        absl::Status added = sorter->Add(group.key(), payload);
        if (absl::IsInvalidArgument(added)) {
          return absl::ResourceExhaustedError(absl::StrCat(
              "the results of the key ", QuoteKey(group.key()), ": ", added.message()));
        }
        KVARTS_RETURN_IF_ERROR(added);
      }
      reader.Close();
    }
    KVARTS_ASSIGN_OR_RETURN(source->records, sorter->Finish());
    core_.CountSpilled(sorter->stats().spilled_bytes);
    return source->Next();
  }

  AggregationCore& core_;
  size_t reserved_ = 0;
  std::vector<Source> sources_;
  sort_internal::LoserTree tree_;
  Source* shown_ = nullptr;
  GroupResults group_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Results>> NewSortedResults(AggregationCore* core) {
  auto results = std::make_unique<SortedResults>(core);
  KVARTS_RETURN_IF_ERROR(results->Init());
  return std::unique_ptr<Results>(std::move(results));
}

}  // namespace kvarts::groupby_internal
