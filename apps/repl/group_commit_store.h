#ifndef KVARTS_APPS_REPL_GROUP_COMMIT_STORE_H_
#define KVARTS_APPS_REPL_GROUP_COMMIT_STORE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/layers/forwarding_store.h"
#include "testing/model/model_store.h"

namespace kvarts {

// Thread-safe. For tests: a store with a slow disk, as one over a log is: Submit() returns at
// once, and a thread makes all that waits durable with one sync.
class GroupCommitStore final : public ForwardingStore {
 public:
  GroupCommitStore() : ForwardingStore(NewModelStore()), disk_([this] { RunDisk(); }) {}
  ~GroupCommitStore() override {
    {
      MutexLock lock(&mu_);
      ends_ = true;
      held_ = false;
      changed_.SignalAll();
    }
    disk_.join();
  }

  Capabilities capabilities() const override {
    Capabilities has = ForwardingStore::capabilities();
    has.may_block = has.no_wait = has.durable = true;
    return has;
  }
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override {
    MutexLock lock(&mu_);
    waiting_.push_back({&batch, options, results, std::move(done)});
    waiting_keys_ += batch.mutations().size();
    most_waiting_ = std::max(most_waiting_, waiting_keys_);
    changed_.SignalAll();
  }

  // The disk does nothing from here on, up to Release().
  void Hold() { SetHeld(true); }
  void Release() { SetHeld(false); }
  // All writes from here on fail as a whole.
  void FailWith(const absl::Status& status) {
    MutexLock lock(&mu_);
    failure_ = status;
  }
  // Returns when so many keys wait for the disk.
  void WaitForWaiting(size_t keys) {
    MutexLock lock(&mu_);
    while (waiting_keys_ < keys) changed_.Wait(&mu_);
  }

  bool IsDurable(const std::string& key) {
    MutexLock lock(&mu_);
    return durable_.count(key) > 0;
  }
  uint64_t syncs() {
    MutexLock lock(&mu_);
    return syncs_;
  }
  size_t most_waiting() {
    MutexLock lock(&mu_);
    return most_waiting_;
  }

 private:
  struct Waiting {
    const WriteBatch* batch;
    WriteOptions options;
    WriteResults* results;
    WriteDone done;
  };

  void SetHeld(bool held) {
    MutexLock lock(&mu_);
    held_ = held;
    changed_.SignalAll();
  }

  void RunDisk() {
    while (true) {
      std::vector<Waiting> group;
      absl::Status failure;
      {
        MutexLock lock(&mu_);
        while (!ends_ && (held_ || waiting_.empty())) changed_.Wait(&mu_);
        if (waiting_.empty()) return;
        group.swap(waiting_);
        failure = failure_;
      }
      Commit(failure, &group);
    }
  }

  void Commit(const absl::Status& failure, std::vector<Waiting>* group) {
    std::vector<absl::Status> statuses;
    bool syncs = false;
    for (const Waiting& one : *group) {
      syncs = syncs || one.options.sync;
      statuses.push_back(failure.ok() ? under().Write(*one.batch, one.options, one.results)
                                      : failure);
    }
    {
      MutexLock lock(&mu_);
      syncs_ += syncs ? 1 : 0;
      for (const Waiting& one : *group) {
        for (const Mutation& m : one.batch->mutations()) durable_.emplace(m.key);
        waiting_keys_ -= one.batch->mutations().size();
      }
    }
    for (size_t i = 0; i < group->size(); ++i) (*group)[i].done(statuses[i]);
  }

  Mutex mu_;
  CondVar changed_;
  std::vector<Waiting> waiting_;
  size_t waiting_keys_ = 0;
  size_t most_waiting_ = 0;
  std::set<std::string> durable_;
  uint64_t syncs_ = 0;
  absl::Status failure_;
  bool held_ = false;
  bool ends_ = false;
  std::thread disk_;  // last: it uses the others
};

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_GROUP_COMMIT_STORE_H_
