#ifndef KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_SCRIPT_H_
#define KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_SCRIPT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "apps/testing/resp_differential/sequence.h"

namespace kvarts {
namespace resp_differential {

// A sequence that somebody wrote.
struct Script {
  std::string name;  // "scripts/strings.txt: what it is about"
  Sequence sequence;
};

// Those of a text:
//
//   # A comment.
//   == What it is about                begins a script, with no keys and no connections
//   SET k "a\x00b" PX <1000*1>         a request, in words as redis-cli reads them
//   1> GET k                           ... of connection 1; else it is 0
//   @scan 0 COUNT 5                    a SCAN, to its end
//   @repeat 1000 SET key:# #           so many requests at once, with their number as #
//   @raw *1\r\n$4\r\nPING\r\n          bytes on a connection of their own, escaped as in C
//   @gone k                            waits until k has expired
//
// In words <TEXT*N> is TEXT N times; <now+N> and <now_ms+N> are Unix times from now on. Each
// script comes four times: in RESP2 and RESP3, request by request and as many at once as can be.
// Dies of what it does not understand.
std::vector<Script> ParseScripts(absl::string_view file, absl::string_view text);

// All of scripts/, in the runfiles; or of scripts_password/, for servers whose password is
// kScriptPassword.
std::vector<Script> AllScripts(bool with_password = false);
inline constexpr char kScriptPassword[] = "secret";

}  // namespace resp_differential
}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_SCRIPT_H_
