// Builds the index of a data file.

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/common/app.h"
#include "base/progress_bar.h"
#include "base/size.h"
#include "base/status_macros.h"
#include "gflags/gflags.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "storage/fs/file_system.h"

DEFINE_string(memory, "256MiB",
              "Memory to build with. What does not fit is sorted through files in --temp_dir.");
DEFINE_string(index, "", "Where the index is written; empty: DATA_FILE.bisect.");
DEFINE_string(temp_dir, "", "Where temporary files go; empty: the directory of the index.");
DEFINE_bool(skip_malformed, false,
            "Leave out malformed lines and say how many; otherwise the first one stops the build.");
DEFINE_bool(verify, false,
            "Check the index and the data file in full, instead of building; builds first where "
            "there is no index.");

namespace kvarts {
namespace {

constexpr char kHelp[] =
    "kv_build: builds the index of a data file, for kv_server and bisect: stores.\n"
    "\n"
    "usage: kv_build [FLAGS] DATA_FILE\n"
    "\n"
    "A data file has lines of a key, a space and a value. The index is written beside\n"
    "it, as DATA_FILE.bisect, in one piece or not at all.";

// Adds the flag that helps where the data file's folder may not be written.
absl::Status WithOtherPlace(const absl::Status& status, const std::string& data_path) {
  if (!absl::IsPermissionDenied(status) || !FLAGS_index.empty()) return status;
  KVARTS_RETURN_IF_ERROR(FileSystem::Posix()->OpenForRead(data_path).status());
  return absl::Status(status.code(), absl::StrCat(status.message(),
                                                  "; to write the index elsewhere: --index=PATH"));
}

absl::Status Build(const std::string& data_path, const BuildOptions& options, ProgressBar* bar) {
  absl::StatusOr<BuildReport> report = BuildBisect(data_path, options);
  bar->Finish();
  if (!report.ok()) return WithOtherPlace(report.status(), data_path);
  for (const std::string& warning : report->warnings) {
    std::fprintf(stderr, "kv_build: %s\n", OneLine(warning).c_str());
  }
  const std::string index_path =
      options.index_path.empty() ? DefaultIndexPath(data_path) : options.index_path;
  const double seconds = absl::ToDoubleSeconds(report->time);
  absl::PrintF("%s: %d keys from %d lines, %s, built in %.2f s (%s lines/s)\n", index_path,
               report->entries, report->lines, FormatSize(report->index_bytes), seconds,
               FormatCount(static_cast<double>(report->lines) / std::max(seconds, 1e-6)));
  return absl::OkStatus();
}

absl::StatusOr<int> Main(const std::vector<std::string>& args) {
  if (args.size() != 1) {
    return UsageError(absl::StrCat("expected one DATA_FILE, not ", args.size(), " arguments"));
  }
  const std::string& data_path = args[0];
  BuildOptions options;
  KVARTS_ASSIGN_OR_RETURN(options.memory_bytes, SizeFlag("memory", FLAGS_memory));
  if (options.memory_bytes < kMinBuildMemory) {
    return UsageError(absl::StrCat("--memory is ", FormatSize(options.memory_bytes),
                                   "; a build needs at least ", FormatSize(kMinBuildMemory)));
  }
  options.index_path = FLAGS_index;
  options.temp_dir = FLAGS_temp_dir;
  options.skip_malformed = FLAGS_skip_malformed;
  const std::unique_ptr<ProgressBar> bar = ProgressBar::OnStderr();
  options.progress = bar.get();
  options.on_wait = [&data_path] {
    std::fprintf(stderr, "kv_build: %s: another process builds the index; waiting for it\n",
                 OneLine(data_path).c_str());
  };
  if (!FLAGS_verify) {
    KVARTS_RETURN_IF_ERROR(Build(data_path, options, bar.get()));
    return 0;
  }
  const std::string index_path =
      options.index_path.empty() ? DefaultIndexPath(data_path) : options.index_path;
  if (absl::IsNotFound(FileSystem::Posix()->Stat(index_path).status())) {
    KVARTS_RETURN_IF_ERROR(Build(data_path, options, bar.get()));
  }
  const absl::Status verified = VerifyBisect(data_path, options);
  bar->Finish();
  KVARTS_RETURN_IF_ERROR(verified);
  absl::PrintF("%s: verified\n", index_path);
  return 0;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  return kvarts::RunApp(argc, argv, {"kv_build", __FILE__, kvarts::kHelp}, kvarts::Main);
}
