#ifndef KVARTS_APPS_REPL_WRITE_QUEUE_H_
#define KVARTS_APPS_REPL_WRITE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/store.h"

namespace kvarts {

// Writes of a script, so that those that stand one behind the other wait for the disk together.
// They gather into groups, of puts or of deletes, each of which is one Store::Submit(); while the
// store works on some, others gather. Answers come in the order of the writes, each after the
// store has called the `done` of its group.
//
// Bounds what it holds: 10,000 keys or 16 MiB of keys and values, or one larger write.
//
// Not thread-safe: all calls on one thread, which `answer` is called on, too. The store may call
// back on any.
class WriteQueue {
 public:
  struct Answer {
    uint64_t line = 0;
    bool is_delete = false;
    absl::Duration time;                    // since the write was added
    absl::Span<const std::string> keys;     // what the line named
    absl::Span<const WriteResult> results;  // one a key
  };
  using AnswerFunction = std::function<void(const Answer&)>;

  // `store` must outlive it. `sync`: see WriteOptions.
  WriteQueue(Store* store, bool sync, AnswerFunction answer);
  // Waits.
  ~WriteQueue();
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  // Waits where the bounds are reached.
  void Put(uint64_t line, std::string key, std::string value);
  void Delete(uint64_t line, std::vector<std::string> keys);
  // Returns when all writes are answered.
  void Wait();
  bool empty() const { return gathering_ == nullptr && sent_.empty(); }

 private:
  struct Line {
    uint64_t number;
    absl::Time added;
    std::vector<std::string> keys;
  };
  struct Group {
    bool deletes = false;
    std::deque<Line> lines;  // whose strings stay where they are
    std::deque<std::string> values;
    size_t keys = 0;
    size_t bytes = 0;
    WriteBatch batch;
    WriteResults results;
    absl::Status status;
    bool done = false;  // guarded by WriteQueue::mu_, as is `status`
  };

  // The group to add to, which is of this kind.
  Group* GroupFor(bool deletes);
  void Added(size_t keys, size_t bytes);
  void Send();
  // Waits for the oldest group, and answers its lines.
  void AnswerOldest();

  Store* const store_;
  const bool sync_;
  const AnswerFunction answer_;
  std::unique_ptr<Group> gathering_;
  std::deque<std::unique_ptr<Group>> sent_;
  size_t keys_ = 0;  // in all groups
  size_t bytes_ = 0;
  Mutex mu_;
  CondVar done_;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_WRITE_QUEUE_H_
