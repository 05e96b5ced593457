#include <cstdint>
#include <memory>

#include "base/status_macros.h"
#include "base/thread.h"
#include "groupby/aggregate/part_queue.h"
#include "groupby/aggregate/part_reader.h"
#include "groupby/aggregate/results.h"
#include "groupby/spill/ordered_writer.h"

namespace kvarts::groupby_internal {
namespace {

class HashResults final : public Results {
 public:
  explicit HashResults(AggregationCore* core)
      : core_(*core), queue_(core), reader_(core, &queue_) {}

  absl::StatusOr<const GroupResults*> Next() override {
    while (true) {
      if (!core_.ok()) return core_.status();
      if (!reader_.is_open()) {
        KVARTS_ASSIGN_OR_RETURN(const bool more, reader_.Open());
        if (!more) return nullptr;
      }
      const StateEntry* const entry = reader_.Next();
      if (entry != nullptr) {
        KVARTS_RETURN_IF_ERROR(group_.Finish(core_.layout(), *entry));
        return &group_;
      }
      reader_.Close();
    }
  }

  // Each thread takes one part after the other, makes its table and its text.
  absl::Status Drain(const AggregateGroups::Render& render, const Groups::Write& write) override {
    if (!reader_.is_open()) {
      KVARTS_ASSIGN_OR_RETURN(const bool more, reader_.Open());
      if (!more) return absl::OkStatus();
    }
    OrderedWriter writer(&core_, core_.pool(), write, reader_.first(), core_.waiting_text_bytes());
    ForkJoin(core_.options().threads, [&](int thread) {
      if (thread == 0) {
        Work(&reader_, render, &writer);
      } else {
        PartReader reader(&core_, &queue_);
        Work(&reader, render, &writer);
      }
    });
    return core_.status();
  }

 private:
  void Work(PartReader* reader, const AggregateGroups::Render& render, OrderedWriter* writer) {
    GroupResults group;
    while (true) {
      const absl::StatusOr<bool> more = Step(reader, &group, render, writer);
      if (!more.ok()) core_.Fail(more.status()).IgnoreError();
      if (more.ok() && *more) continue;
      // Who waits may wait for what is not made any more.
      queue_.WakeAll();
      writer->WakeAll();
      return;
    }
  }

  // One part.
  absl::StatusOr<bool> Step(PartReader* reader, GroupResults* group,
                            const AggregateGroups::Render& render, OrderedWriter* writer) {
    if (!reader->is_open()) {
      KVARTS_ASSIGN_OR_RETURN(const bool more, reader->Open());
      if (!more) return false;
    }
    const uint64_t first = reader->first();
    if (!queue_.IsCurrent(first)) {
      // Once its text is begun it is not given back.
      if (writer->AdmitAhead(first, reader->bytes())) {
        queue_.Keep(first);
      } else if (!queue_.WaitForTurn(first)) {
        reader->GiveBack();
        return true;
      }
    }
    OrderedWriter::Text text(writer, first, reader->end());
    uint64_t groups = 0;
    for (;; ++groups) {
      if (!core_.ok()) return core_.status();
      const StateEntry* const entry = reader->Next();
      if (entry == nullptr) break;
      KVARTS_RETURN_IF_ERROR(group->Finish(core_.layout(), *entry));
      KVARTS_RETURN_IF_ERROR(render(group->key(), group->results(), &text));
    }
    core_.CountGroups(groups);
    reader->Close();
    KVARTS_RETURN_IF_ERROR(text.End());
    return true;
  }

  AggregationCore& core_;
  PartQueue queue_;
  PartReader reader_;  // the calling thread's
  GroupResults group_;
};

}  // namespace

std::unique_ptr<Results> NewHashResults(AggregationCore* core) {
  return std::make_unique<HashResults>(core);
}

}  // namespace kvarts::groupby_internal
