#ifndef KVARTS_APPS_REPL_HISTORY_H_
#define KVARTS_APPS_REPL_HISTORY_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// Not thread-safe. The lines that were typed, in a file that only its owner may read: they hold
// keys and values. Several shells may use one file: each adds its lines as they come.
class HistoryFile {
 public:
  static constexpr size_t kMaxLines = 1000;

  // $XDG_STATE_HOME/kvarts/repl_history, or ~/.local/state/kvarts/repl_history: what a program
  // keeps from one run to the next and is no configuration, as the XDG base directories have it.
  // Empty where there is no home.
  static std::string DefaultPath();

  // An empty path: nothing is kept.
  explicit HistoryFile(std::string path) : path_(std::move(path)) {}

  // The last kMaxLines lines, oldest first; none where there is no file. Takes older ones out of
  // the file.
  absl::StatusOr<std::vector<std::string>> Load();
  // Adds a line. Makes the file, and its directories, where there are none.
  absl::Status Add(absl::string_view line);

 private:
  // Writes the file anew.
  absl::Status Replace(absl::string_view contents) const;

  const std::string path_;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_HISTORY_H_
