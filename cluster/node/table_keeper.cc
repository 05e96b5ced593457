#include "cluster/node/table_keeper.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace cluster {
namespace {

constexpr absl::Duration kPeriod = absl::Seconds(2);
constexpr absl::Duration kRetry = absl::Milliseconds(200);
// Where somebody waits for a newer table, which a hint may not announce.
constexpr absl::Duration kAwaited = absl::Milliseconds(20);
constexpr absl::Duration kTimeout = absl::Seconds(3);

}  // namespace

TableKeeper::TableKeeper(Coordinator* coordinator, EventLoop* loop, std::function<void()> changed,
                         std::function<void(absl::string_view)> say)
    : coordinator_(coordinator),
      loop_(loop),
      changed_(std::move(changed)),
      say_(std::move(say)),
      timer_(loop->NewTimer()),
      waiters_timer_(loop->NewTimer()) {}

void TableKeeper::Start() {
  heard_ = loop_->Now();
  coordinator_->Watch([this, alive = std::weak_ptr<bool>(alive_)] {
    if (const std::shared_ptr<bool> here = alive.lock(); here != nullptr && *here) ReadNow();
  });
  ReadNow();
}

void TableKeeper::Stop() {
  *alive_ = false;
  timer_->Cancel();
  waiters_timer_->Cancel();
  waiters_.clear();
}

void TableKeeper::ReadNow() {
  if (!*alive_) return;
  if (reading_) {
    // What is being read may be from before the change that was heard of.
    again_ = true;
    return;
  }
  reading_ = true;
  again_ = false;
  floor_at_read_ = floor_;
  coordinator_->Read(kTimeout, [this, alive = std::weak_ptr<bool>(alive_)](
                                   absl::StatusOr<Coordinator::Contents> contents) {
    const std::shared_ptr<bool> here = alive.lock();
    if (here == nullptr || !*here) return;
    reading_ = false;
    Took(std::move(contents));
    if (!*here) return;
    if (again_) ReadNow();
  });
}

void TableKeeper::Took(absl::StatusOr<Coordinator::Contents> contents) {
  absl::Status error = contents.status();
  bool is_new = false;
  if (contents.ok()) {
    if (contents->revision < floor_ && floor_at_read_ < floor_) {
      // From before what this node has done meanwhile: the read that follows tells more.
      timer_->Start(kRetry, [this] { ReadNow(); });
      return;
    }
    const bool is_same = table_ != nullptr && contents->values.SharesWith(values_);
    absl::StatusOr<ClusterTable> table =
        is_same ? ClusterTable() : ClusterTable::Parse(*contents, table_.get());
    if (restored_.ok()) {
      restored_ = CheckHistory(contents->revision, is_same || !table.ok() ? nullptr : &*table);
    }
    error = restored_.ok() ? table.status() : restored_;
    is_new = error.ok();
    if (is_new && is_same) {
      table_->revision = contents->revision;
    } else if (is_new) {
      table_ = std::make_unique<ClusterTable>(*std::move(table));
      values_ = std::move(contents->values);
      ++tables_;
    }
  }
  if (!error.ok() && error != last_error_) say_(error.message());
  last_error_ = error;
  const bool is_awaited = error.ok() && !waiters_.empty();
  timer_->Start(is_awaited ? kAwaited : error.ok() ? kPeriod : kRetry, [this] { ReadNow(); });
  if (!is_new) return;
  const std::weak_ptr<bool> alive = alive_;
  changed_();
  if (!alive.expired() && *alive_) WakeWaiters();
}

// Revisions of the whole and of each record only grow, unless the past was put in their place.
// Reads alone may raise that of the whole above what is known here soon after.
absl::Status TableKeeper::CheckHistory(int64_t read, const ClusterTable* table) const {
  const auto restored = [](absl::string_view what, int64_t has, int64_t known) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the coordinator has revision ", has, " of ", what, ", and this node knows ", known,
        ": it was restored from a backup. Its table is not followed; start the nodes "
        "anew to go on from there"));
  };
  const int64_t known = std::max(revision(), floor_);
  if (read < known) return restored("the table", read, known);
  if (table == nullptr || table_ == nullptr) return absl::OkStatus();
  if (table->cluster_revision < table_->cluster_revision) {
    return restored("the cluster", table->cluster_revision, table_->cluster_revision);
  }
  for (int group = 0; group < kSlotGroups; ++group) {
    const int64_t has = table->group_revisions[group];
    if (has < table_->group_revisions[group]) {
      return restored(absl::StrCat("slots ", group * kSlotsPerGroup, " and on"), has,
                      table_->group_revisions[group]);
    }
  }
  return absl::OkStatus();
}

void TableKeeper::WaitFor(int64_t revision, absl::Duration timeout,
                          absl::AnyInvocable<void(bool)> done) {
  if (this->revision() >= revision) return done(true);
  waiters_.push_back({revision, loop_->Now() + timeout, std::move(done)});
  ReadNow();
  Rearm();
}

void TableKeeper::WakeWaiters() {
  std::vector<Waiter> waiters;
  waiters.swap(waiters_);
  for (Waiter& waiter : waiters) {
    if (revision() >= waiter.revision) {
      waiter.done(true);
    } else if (loop_->Now() >= waiter.deadline) {
      waiter.done(false);
    } else {
      waiters_.push_back(std::move(waiter));
    }
  }
  Rearm();
}

void TableKeeper::Rearm() {
  if (waiters_.empty()) return;
  const auto first =
      std::min_element(waiters_.begin(), waiters_.end(),
                       [](const Waiter& a, const Waiter& b) { return a.deadline < b.deadline; });
  waiters_timer_->Start(std::max(first->deadline - loop_->Now(), absl::ZeroDuration()),
                        [this] { WakeWaiters(); });
}

void TableKeeper::Commit(Coordinator::Transaction transaction, Coordinator::CommitDone done) {
  if (!restored_.ok()) {
    loop_->Post(
        [why = restored_, alive = std::weak_ptr<bool>(alive_), done = std::move(done)]() mutable {
          const std::shared_ptr<bool> here = alive.lock();
          if (here != nullptr && *here) done(why);
        });
    return;
  }
  coordinator_->Commit(std::move(transaction), kTimeout,
                       [this, alive = std::weak_ptr<bool>(alive_), done = std::move(done)](
                           absl::StatusOr<Coordinator::Outcome> outcome) mutable {
                         const std::shared_ptr<bool> here = alive.lock();
                         if (here == nullptr || !*here) return;
                         if (outcome.ok()) heard_ = loop_->Now();
                         if (outcome.ok() && outcome->succeeded) {
                           floor_ = std::max(floor_, outcome->revision);
                         }
                         // One that may have been done was waited for long enough.
                         const bool is_refused =
                             !outcome.ok() && !absl::IsDeadlineExceeded(outcome.status());
                         done(std::move(outcome));
                         if (!*here) return;
                         if (is_refused) {
                           timer_->Start(kRetry, [this] { ReadNow(); });
                         } else {
                           ReadNow();
                         }
                       });
}

}  // namespace cluster
}  // namespace kvarts
