#ifndef KVARTS_NET_RESP_SCRIPTS_SCRIPT_H_
#define KVARTS_NET_RESP_SCRIPTS_SCRIPT_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"

namespace kvarts {
namespace resp {

// Constant.
struct Script {
  std::string sha;         // 40 hexadecimal digits, of the text as it came
  std::string source;      // without "#!lua ...", of which the newline stays
  bool has_flags = false;  // it begins with such a line
  bool no_writes = false;  // ... which says so
};

// 40 hexadecimal digits.
std::string Sha1Hex(absl::string_view bytes);

// Reads the first line where it is "#!lua flags=...". kAborted with the reply where it is wrong.
absl::StatusOr<Script> ParseScript(absl::string_view text);

// Thread-safe. The scripts that EVALSHA knows. Those that came first are forgotten first, where
// they are more than 10,000, or more than 32 MiB.
class ScriptCache {
 public:
  // Null where there is none. In lower case.
  std::shared_ptr<const Script> Find(absl::string_view sha) const;
  void Add(std::shared_ptr<const Script> script);
  void Clear();
  size_t size() const {
    MutexLock lock(&mu_);
    return scripts_.size();
  }

 private:
  mutable Mutex mu_;
  std::map<std::string, std::shared_ptr<const Script>, std::less<>> scripts_ ABSL_GUARDED_BY(mu_);
  std::deque<std::string> order_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_SCRIPTS_SCRIPT_H_
