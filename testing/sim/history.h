#ifndef KVARTS_TESTING_SIM_HISTORY_H_
#define KVARTS_TESTING_SIM_HISTORY_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/mutex.h"

namespace kvarts {

// What a client asked of one key, and what it was told.
struct HistoryOperation {
  enum Kind {
    kRead,
    kPut,
    kDelete,
    kCompareAndSet,  // an absent key compares equal to `expected` absent
    kIncrement,      // by `delta`, of a decimal number; an absent key counts as 0
  };
  enum Outcome {
    // As good as kMayHaveHappened until it is told.
    kUnderWay,
    // It happened between call and answer, and what is told of it below is so.
    kOk,
    // It did not and will not happen.
    kFailed,
    // It happens once, any time after the call, or never: a deadline, a lost connection.
    kMayHaveHappened,
  };

  Kind kind = kRead;
  int client = 0;
  std::string key;
  absl::optional<std::string> value;     // of a put or compare-and-set; absent there: deletes
  absl::optional<std::string> expected;  // of a compare-and-set
  int64_t delta = 0;

  Outcome outcome = kUnderWay;
  // Of kOk: what a read found, absent where there was nothing; what an increment gave, absent
  // where it was not told.
  absl::optional<std::string> result;
  // Of kOk: whether a compare-and-set was done (a must there); whether a delete found
  // something, absent where it was not told.
  absl::optional<bool> done;

  // For people.
  absl::Duration called_at;
  absl::Duration answered_at = absl::InfiniteDuration();
  // The order of calls and answers of a history, which is what counts.
  uint64_t called = 0;
  uint64_t answered = std::numeric_limits<uint64_t>::max();
};

// On one line: "3 put "k" "v" -> ok [1.2ms, 1.5ms]".
std::string ToString(const HistoryOperation& operation);

// Thread-safe. Records what clients do: say Call() before each operation is sent, and one of
// the others after its answer has come, never both inside. What is never answered may have
// happened.
class History {
 public:
  // Kind, client, key and arguments of `operation` count. Returns its number.
  size_t Call(HistoryOperation operation, absl::Duration now);
  // A read's or increment's.
  void Ok(size_t number, absl::Duration now, absl::optional<std::string> result);
  // A delete's or compare-and-set's.
  void Done(size_t number, absl::Duration now, bool done);
  // A put's, or a delete's that tells no more.
  void Ok(size_t number, absl::Duration now);
  void Failed(size_t number, absl::Duration now);
  void MayHaveHappened(size_t number, absl::Duration now);

  // In the order called.
  std::vector<HistoryOperation> operations() const;

 private:
  void Answer(size_t number, absl::Duration now, HistoryOperation::Outcome outcome,
              absl::optional<std::string> result, absl::optional<bool> done);

  mutable Mutex mu_;
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<HistoryOperation> operations_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_SIM_HISTORY_H_
