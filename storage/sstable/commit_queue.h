#ifndef KVARTS_STORAGE_SSTABLE_COMMIT_QUEUE_H_
#define KVARTS_STORAGE_SSTABLE_COMMIT_QUEUE_H_

#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/store.h"

namespace kvarts::sstable {

struct Ingestion;

// One call that writes, from when it is made until it is answered.
struct Commit {
  const WriteBatch* batch = nullptr;  // null: `modifier`, or neither
  WriteOptions options;
  WriteResults* results = nullptr;
  absl::string_view key;  // for the modifier
  const Store::Modifier* modifier = nullptr;
  bool sync = false;               // makes what was written before durable, too
  bool freeze = false;             // ends the memtable, if there is anything in it
  bool promise = false;            // writes down that all of the log is synced, if it is
  bool begin = false;              // what the first write needs is made before it comes
  Ingestion* ingestion = nullptr;  // tables that become part of the store
  Store::WriteDone done;           // of a submitted one

  absl::Status status;  // the answer

  // Of the queue.
  bool submitted = false;
  bool finished = false;
  CondVar wake;
};

// Thread-safe. Puts calls in one order and carries them out in groups, which share one write and
// one sync: who comes first leads, and those that come meanwhile are the next group (group
// commit, as LevelDB has it). Submitted calls have a thread that leads for them.
//
// Writers that write again as soon as they are answered would so be two halves, which wait for
// each other's syncs. Where the last group took long, the next one waits, for a part of that time
// at the most, for as many calls as were in it and came meanwhile: for all who write just now.
class CommitQueue {
 public:
  // A time that never steps, from any start.
  static absl::Duration SteadyTime();

  // `work` answers all of a group; one call of it at a time. Without a thread, submitted calls are
  // carried out in Submit().
  explicit CommitQueue(std::function<void(absl::Span<Commit* const> group)> work,
                       std::function<absl::Duration()> time = SteadyTime)
      : work_(std::move(work)), time_(std::move(time)) {}
  ~CommitQueue() { Stop(); }

  absl::Status StartThread();
  // Carries out what was submitted, and ends the thread: what comes later has none.
  void Stop();

  // Returns when it is answered.
  void Call(Commit* commit);
  void Submit(std::unique_ptr<Commit> commit);

 private:
  // Enough for any number of connections, and little enough for memory and for the time that the
  // first of them waits.
  static constexpr size_t kMaxGroup = 4096;
  static constexpr size_t kMaxGroupBytes = 4 << 20;

  std::vector<Commit*> TakeGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AwaitOthers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LeadOnce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Lead();

  const std::function<void(absl::Span<Commit* const> group)> work_;
  const std::function<absl::Duration()> time_;
  Mutex mu_;
  std::deque<Commit*> queue_ ABSL_GUARDED_BY(mu_);
  bool led_ ABSL_GUARDED_BY(mu_) = false;  // somebody carries out a group
  bool has_thread_ ABSL_GUARDED_BY(mu_) = false;
  size_t expected_ ABSL_GUARDED_BY(mu_) = 0;  // as many as write just now
  absl::Duration last_time_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();  // that it took
  CondVar more_;  // there are as many as are expected
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  CondVar thread_wake_;
  std::thread thread_;
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_COMMIT_QUEUE_H_
