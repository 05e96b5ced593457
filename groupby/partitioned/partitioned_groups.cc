#include "groupby/partitioned/partitioned_groups.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "base/thread.h"
#include "groupby/partitioned/partition_cursor.h"
#include "groupby/partitioned/read_ahead.h"
#include "groupby/spill/ordered_writer.h"

namespace kvarts::groupby_internal {
namespace {

class GroupCursor final : public Groups::Cursor {
 public:
  GroupCursor(Engine* engine, PartitionCursor* cursor) : engine_(engine), cursor_(cursor) {}
  absl::string_view key() const override { return key_; }
  absl::StatusOr<absl::Span<const absl::string_view>> Values() override {
    if (!engine_->ok()) return engine_->status();
    return cursor_->Values();
  }
  absl::StatusOr<bool> Next() {
    if (!engine_->ok()) return engine_->status();
    return cursor_->Next(&key_);
  }

 private:
  Engine* const engine_;
  PartitionCursor* const cursor_;
  absl::string_view key_;
};

class PartitionedGroups final : public Groups {
 public:
  PartitionedGroups(std::shared_ptr<Engine> engine, std::unique_ptr<PartitionSet> set)
      : engine_(std::move(engine)), set_(std::move(set)) {}
  ~PartitionedGroups() override { End(); }

  absl::StatusOr<bool> Next(absl::string_view* key) override {
    if (!engine_->ok()) return engine_->status();
    while (set_ != nullptr) {
      if (cursor_ != nullptr) {
        absl::StatusOr<bool> more = cursor_->Next(key);
        if (!more.ok()) return engine_->Fail(more.status());
        if (*more) return true;
        cursor_.reset();
      }
      if (next_ == set_->size()) {
        End();
        break;
      }
      Report();
      KVARTS_RETURN_IF_ERROR(OpenNext());
    }
    return false;
  }

  absl::StatusOr<absl::Span<const absl::string_view>> Values() override {
    if (!engine_->ok()) return engine_->status();
    if (cursor_ == nullptr) return absl::Span<const absl::string_view>();
    return cursor_->Values();
  }

  absl::Status Drain(const Render& render, const Write& write) override {
    if (!engine_->ok()) return engine_->status();
    if (set_ == nullptr) return absl::OkStatus();
    OrderedWriter writer(engine_.get(), engine_->pool(), write,
                         cursor_ != nullptr ? next_ - 1 : next_, engine_->waiting_text_bytes());
    // What Next() has left of its partition, and the one that was opened ahead.
    while (cursor_ != nullptr) {
      const absl::Status status = RenderPart(cursor_.get(), next_ - 1, render, &writer);
      if (!status.ok()) return engine_->Fail(status);
      cursor_.reset();
      if (ahead_ == nullptr) break;
      KVARTS_ASSIGN_OR_RETURN(cursor_, ahead_->Take());
      ahead_.reset();
      if (cursor_ != nullptr) ++next_;
    }
    std::atomic<size_t> next{next_};
    const auto work = [&](int) {
      PartitionCursor cursor(engine_.get());
      while (engine_->ok()) {
        const size_t i = next.fetch_add(1, std::memory_order_relaxed);
        if (i >= set_->size()) break;
        const absl::Status status = DrainPart(&cursor, i, render, &writer);
        if (!status.ok()) {
          engine_->Fail(status).IgnoreError();
          writer.WakeAll();
        }
      }
      // Who waits for its turn may wait for a part that is not made any more.
      if (!engine_->ok()) writer.WakeAll();
    };
    ForkJoin(engine_->options().threads, work);
    next_ = set_->size();
    if (!engine_->ok()) {
      End();
      return engine_->status();
    }
    End();
    return absl::OkStatus();
  }

 private:
  // Opens partition next_, and has the one behind it opened meanwhile.
  absl::Status OpenNext() {
    if (ahead_ != nullptr) {
      KVARTS_ASSIGN_OR_RETURN(cursor_, ahead_->Take());
    } else if (engine_->options().threads > 1) {
      ahead_ = ReadAhead::New(engine_.get(), set_.get());
    }
    if (cursor_ == nullptr) {
      auto cursor = std::make_unique<PartitionCursor>(engine_.get());
      KVARTS_RETURN_IF_ERROR(cursor->Open(set_.get(), next_, {}, nullptr).status());
      cursor_ = std::move(cursor);
    }
    if (++next_ < set_->size() && ahead_ != nullptr) ahead_->Start(next_);
    return absl::OkStatus();
  }

  absl::Status DrainPart(PartitionCursor* cursor, size_t i, const Render& render,
                         OrderedWriter* writer) {
    // Only the current part may ask for memory: what others need must not keep it from
    // its end.
    bool open = false;
    if (!writer->IsCurrent(i)) {
      KVARTS_ASSIGN_OR_RETURN(open, cursor->Open(set_.get(), i, {}, [&](size_t bytes) {
        return writer->AdmitAhead(i, bytes);
      }));
    }
    if (!open) {
      KVARTS_RETURN_IF_ERROR(writer->Await(i));
      KVARTS_RETURN_IF_ERROR(cursor->Open(set_.get(), i, {}, nullptr).status());
    }
    return RenderPart(cursor, i, render, writer);
  }

  absl::Status RenderPart(PartitionCursor* cursor, size_t i, const Render& render,
                          OrderedWriter* writer) {
    OrderedWriter::Text text(writer, i, i + 1);
    GroupCursor group(engine_.get(), cursor);
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const bool more, group.Next());
      if (!more) break;
      KVARTS_RETURN_IF_ERROR(render(&group, &text));
    }
    cursor->Close();
    finished_.fetch_add(1, std::memory_order_relaxed);
    Report();
    return text.End();
  }

  void Report() {
    if (engine_->options().progress == nullptr) return;
    const uint64_t bytes = engine_->stats().bytes;
    const uint64_t done = std::max<uint64_t>(finished_.load(std::memory_order_relaxed), next_);
    engine_->options().progress("group", bytes * done / set_->size(), bytes);
  }

  // All memory and files go.
  void End() {
    ahead_.reset();
    cursor_.reset();
    set_.reset();
    engine_->folder()->Remove();
    engine_->pool()->Trim(~size_t{0});
  }

  const std::shared_ptr<Engine> engine_;
  std::unique_ptr<PartitionSet> set_;
  size_t next_ = 0;
  std::atomic<size_t> finished_{0};
  std::unique_ptr<PartitionCursor> cursor_;  // of partition next_ - 1; may be null
  std::unique_ptr<ReadAhead> ahead_;
};

}  // namespace

std::unique_ptr<Groups> NewPartitionedGroups(std::shared_ptr<Engine> engine,
                                             std::unique_ptr<PartitionSet> set) {
  return std::make_unique<PartitionedGroups>(std::move(engine), std::move(set));
}

}  // namespace kvarts::groupby_internal
