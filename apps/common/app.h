#ifndef KVARTS_APPS_COMMON_APP_H_
#define KVARTS_APPS_COMMON_APP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

struct AppInfo {
  // "kv_server": begins each line of error.
  std::string name;
  // __FILE__ of main(): the gflags defined there are the app's own.
  std::string file;
  // What --help shows above the flags: a sentence, and forms of use.
  std::string help;
  // A flag of which a second one is bad usage: somebody may mean a list. Of others the last
  // one counts, so that a script's flags can be followed by those of who calls it.
  const char* only_once = "";
};

// Starts a program, the same way for each:
// - relative paths are the user's (BUILD_WORKING_DIRECTORY), under `bazel run` too;
// - signals, standard descriptors and memory are prepared: process_setup.h;
// - glog goes to stderr and to no file;
// - flags may stand anywhere among the arguments, up to "--"; "-" and "-5" are
//   arguments;
// - --help shows the app's own flags, --version the version; both exit 0;
// - bad usage is one line on stderr and exit 2: unknown flags, bad values, and UsageError() from
// `run`;
// - another error is one line on stderr, "NAME: message", and exit 1; an output
//   that cannot be written is one; a pipe closed by its reader ends it quietly.
// Returns the exit code: that of `run`, which gets the arguments without flags.
int RunApp(int argc, char** argv, const AppInfo& info,
           absl::FunctionRef<absl::StatusOr<int>(const std::vector<std::string>& args)> run);

// For `run`: the program was called wrongly.
absl::Status UsageError(absl::string_view message);
bool IsUsageError(const absl::Status& status);

// The value of a flag that is a size ("64MiB"); a usage error that names it.
absl::StatusOr<uint64_t> SizeFlag(absl::string_view name, absl::string_view value);

// A message as one line: newlines and other control bytes are shown as \xNN.
std::string OneLine(absl::string_view message);

}  // namespace kvarts

#endif  // KVARTS_APPS_COMMON_APP_H_
