#ifndef KVARTS_NET_RESP_SCRIPTS_LIMITS_H_
#define KVARTS_NET_RESP_SCRIPTS_LIMITS_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "net/resp/reply.h"

namespace kvarts {
namespace resp {

// Why a script was ended before its end; what it wrote is not to be kept.
enum class ScriptEnd : unsigned char {
  kNone = 0,
  kLong,    // more than a thread can be held up for: it is to be run where it may take its time
  kTime,    // of ScriptLimits::deadline
  kMemory,  // of the state
  kKilled,  // SCRIPT KILL
  kAnswer,  // its answer is over ScriptLimits::max_answer_bytes
};

struct ScriptLimits {
  absl::Time deadline;
  size_t max_answer_bytes;
  bool brief = false;  // ends with kLong after about a millisecond
};

// What a script may ask for. Of one run, on its thread.
class ScriptHost {
 public:
  virtual ~ScriptHost() = default;
  // Carries out a command and answers it in RESP 2 or 3, as `reply` says. An error is a reply.
  virtual void Call(absl::Span<const absl::string_view> args, ReplyWriter* reply) = 0;
};

// Thread-safe. The scripts that take long, for SCRIPT KILL.
class RunningScripts {
 public:
  // `killed`, which stays until Remove(), is set when the script is to end.
  void Add(std::atomic<bool>* killed) {
    MutexLock lock(&mu_);
    running_.insert(killed);
  }
  void Remove(std::atomic<bool>* killed) {
    MutexLock lock(&mu_);
    running_.erase(killed);
  }
  // False: there are none.
  bool Kill() {
    MutexLock lock(&mu_);
    for (std::atomic<bool>* const killed : running_) killed->store(true);
    return !running_.empty();
  }

 private:
  Mutex mu_;
  std::set<std::atomic<bool>*> running_ ABSL_GUARDED_BY(mu_);
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_SCRIPTS_LIMITS_H_
