#ifndef KVARTS_CLUSTER_NODE_TABLE_KEEPER_H_
#define KVARTS_CLUSTER_NODE_TABLE_KEEPER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cluster/coordinator.h"
#include "cluster/table.h"
#include "net/event_loop.h"

namespace kvarts {
namespace cluster {

// On its loop only. The newest copy of the coordinator's table that this process has: read again
// when the coordinator hints at a change, when a peer knows a newer one, after each transaction,
// and every two seconds, since hints get lost. A coordinator that was restored from a backup, which
// shows by what it has forgotten, decides nothing any more: neither its table is taken, however
// new it becomes, nor is anything committed to it. Only a new process follows it.
class TableKeeper {
 public:
  // `changed`, `say`: called on the loop, never inside a call. `say` gets sentences for people.
  TableKeeper(Coordinator* coordinator, EventLoop* loop, std::function<void()> changed,
              std::function<void(absl::string_view)> say);

  void Start();
  // Nothing is called any more.
  void Stop();

  bool has_table() const { return table_ != nullptr; }
  // REQUIRES: has_table().
  const ClusterTable& table() const { return *table_; }
  int64_t revision() const { return table_ == nullptr ? 0 : table_->revision; }

  // How many tables were read that were not the one before: what two calls of table() give differs
  // in its revision alone where this has not changed.
  uint64_t tables() const { return tables_; }

  // What other nodes are told of. Where reads raise the revision of the whole, as etcd's do, nodes
  // that told each other of that would have each other read for ever.
  int64_t last_change() const { return table_ == nullptr ? 0 : table_->LastChange(); }

  void ReadNow();
  // Reads where `revision` is newer than the copy.
  void Heard(int64_t revision) {
    if (revision > this->revision()) ReadNow();
  }
  // Calls `done` once the copy is at least of `revision`; false after `timeout`.
  void WaitFor(int64_t revision, absl::Duration timeout, absl::AnyInvocable<void(bool)> done);

  // Coordinator::Commit(); a read follows: after a pause where the coordinator refused, as whoever
  // goes by the table that is read then tries the same again. Once a transaction is known to be
  // done, no copy from before it is taken any more. kFailedPrecondition where the coordinator was
  // restored.
  void Commit(Coordinator::Transaction transaction, Coordinator::CommitDone done);

  // Since when the coordinator has answered no transaction: one may have to wait where reads do
  // not.
  absl::Duration silence() const { return loop_->Now() - heard_; }

 private:
  struct Waiter {
    int64_t revision;
    absl::Duration deadline;
    absl::AnyInvocable<void(bool)> done;
  };

  void Took(absl::StatusOr<Coordinator::Contents> contents);
  // Of what was read: its revision, and the table where it is one.
  absl::Status CheckHistory(int64_t read, const ClusterTable* table) const;
  void WakeWaiters();
  void Rearm();

  Coordinator* const coordinator_;
  EventLoop* const loop_;
  const std::function<void()> changed_;
  const std::function<void(absl::string_view)> say_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<ClusterTable> table_;
  Coordinator::Values values_;  // that it was read from
  uint64_t tables_ = 0;
  std::unique_ptr<Timer> timer_;
  std::unique_ptr<Timer> waiters_timer_;
  std::vector<Waiter> waiters_;
  int64_t floor_ = 0;          // of the newest transaction that is known to be done
  int64_t floor_at_read_ = 0;  // what it was when the read began
  bool reading_ = false;
  bool again_ = false;
  absl::Duration heard_;
  absl::Status restored_;  // what showed it, once it has
  absl::Status last_error_;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_TABLE_KEEPER_H_
