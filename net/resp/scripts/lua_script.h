#ifndef KVARTS_NET_RESP_SCRIPTS_LUA_SCRIPT_H_
#define KVARTS_NET_RESP_SCRIPTS_LUA_SCRIPT_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "net/resp/reply.h"
#include "net/resp/scripts/limits.h"
#include "net/resp/scripts/script.h"

namespace kvarts {
namespace resp {

// Not thread-safe: one run at a time. A Lua 5.1 in which scripts of strangers may run: there is no
// io, os, debug, require nor bytecode; what it holds is bounded; globals and libraries cannot be
// changed, so that one script leaves nothing for the next.
class LuaScripts {
 public:
  // Of a state that is made anew a script may take `max_bytes`. Null where there is no memory.
  static std::unique_ptr<LuaScripts> New(size_t max_bytes, RunningScripts* running);
  virtual ~LuaScripts() = default;

  // Empty, or the reply: what is wrong with its text.
  virtual std::string Compile(const Script& script) = 0;

  // Runs it, and writes its answer, or the error that it ended with. Where it was ended nothing
  // that was written is to be kept, nor is this object. REQUIRES: it compiles.
  virtual ScriptEnd Run(const Script& script, absl::Span<const absl::string_view> keys,
                        absl::Span<const absl::string_view> args, const ScriptLimits& limits,
                        ScriptHost* host, ReplyWriter* reply) = 0;

  // Whether another script may run here: nothing was left behind, and memory was given back.
  virtual bool is_clean() = 0;
};

// Thread-safe. States that were made and are not in use.
class LuaPool {
 public:
  explicit LuaPool(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Null where there is no memory.
  std::unique_ptr<LuaScripts> Take();
  // After a run that was not ended.
  void GiveBack(std::unique_ptr<LuaScripts> lua);

  RunningScripts& running() { return running_; }
  size_t max_bytes() const { return max_bytes_; }

 private:
  const size_t max_bytes_;
  RunningScripts running_;
  Mutex mu_;
  std::vector<std::unique_ptr<LuaScripts>> spare_ ABSL_GUARDED_BY(mu_);
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_SCRIPTS_LUA_SCRIPT_H_
