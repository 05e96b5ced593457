#include "groupby/text/feed.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/thread.h"

namespace kvarts::groupby_text {
namespace {

// Thread-safe. What the threads know together: which lines a chunk has, once all chunks
// before it were parsed, and the first error.
class Progress {
 public:
  explicit Progress(const FeedOptions& options) : options_(options), line_(options.first_line) {}

  // A chunk was parsed, up to its first error.
  void Parsed(uint64_t chunk, const ParsedRows& rows) {
    FeedReport now;
    {
      MutexLock lock(&mu_);
      report_.rows += rows.rows().size();
      report_.skipped += rows.skipped();
      now = report_;
      if (!rows.error().empty()) {
        FailLocked(chunk, absl::InvalidArgumentError(rows.error()), true, rows.lines());
        return;
      }
      chunks_.emplace(chunk, Lines{rows.lines(), false});
    }
    if (options_.progress) options_.progress(now.rows, now.skipped);
  }

  // A chunk was parsed and handed on.
  void Done(uint64_t chunk) {
    MutexLock lock(&mu_);
    chunks_[chunk].done = true;
    while (!chunks_.empty() && chunks_.begin()->second.done) {
      line_ += chunks_.begin()->second.lines;
      chunks_.erase(chunks_.begin());
    }
  }

  // Chunk `chunk` went wrong; `in_line`, where that is known, behind `lines` of its lines.
  void Fail(uint64_t chunk, absl::Status status, bool in_line = false, uint64_t lines = 0) {
    MutexLock lock(&mu_);
    FailLocked(chunk, std::move(status), in_line, lines);
  }

  // When all threads are done.
  absl::Status Finish(FeedReport* report) {
    MutexLock lock(&mu_);
    *report = report_;
    if (!in_line_) return status_;
    // All chunks before the first wrong one were parsed.
    for (const auto& [chunk, lines] : chunks_) {
      if (chunk < failed_) line_ += lines.lines;
    }
    return absl::Status(
        status_.code(),
        absl::StrCat(options_.name, ", line ", line_ + lines_before_, ": ", status_.message()));
  }

 private:
  void FailLocked(uint64_t chunk, absl::Status status, bool in_line, uint64_t lines)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (chunk >= failed_) return;
    failed_ = chunk;
    status_ = std::move(status);
    in_line_ = in_line;
    lines_before_ = lines;
  }

  struct Lines {
    uint64_t lines = 0;
    bool done = false;
  };

  const FeedOptions& options_;
  Mutex mu_;
  // Those that were parsed, from the first on that is not done.
  std::map<uint64_t, Lines> chunks_ ABSL_GUARDED_BY(mu_);
  uint64_t line_ ABSL_GUARDED_BY(mu_);  // where they begin
  uint64_t failed_ ABSL_GUARDED_BY(mu_) = UINT64_MAX;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  bool in_line_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t lines_before_ ABSL_GUARDED_BY(mu_) = 0;
  FeedReport report_ ABSL_GUARDED_BY(mu_);
};

void Work(ChunkReader* reader, const RowParser& parser, const FeedTarget& target,
          const std::function<void()>& cancel, Progress* progress) {
  Chunk chunk;
  ParsedRows rows;
  while (true) {
    const absl::StatusOr<bool> more = reader->Next(&chunk);
    if (more.ok() && !*more) return;
    if (!more.ok()) {
      progress->Fail(chunk.number, more.status(), chunk.row_failed);
      cancel();
      return;
    }
    parser.Parse(absl::MakeSpan(chunk.text, chunk.size), &rows);
    progress->Parsed(chunk.number, rows);
    if (!rows.error().empty()) {
      reader->Stop();
      cancel();
      return;
    }
    size_t bad_row = SIZE_MAX;
    absl::Status added = target(chunk.number, rows, &bad_row);
    if (added.ok()) {
      progress->Done(chunk.number);
      continue;
    }
    reader->Stop();
    if (bad_row < rows.rows().size()) {
      progress->Fail(chunk.number, std::move(added), true, rows.lines_before(bad_row));
    } else {
      // Where another thread's error is the reason, it is told, wherever it was.
      const bool secondary = absl::IsCancelled(added);
      // A chunk with a long row begins with it.
      const bool of_row = chunk.turn != nullptr && absl::IsResourceExhausted(added);
      progress->Fail(secondary ? UINT64_MAX - 1 : chunk.number, std::move(added), of_row);
      if (secondary) return;
    }
    cancel();
    return;
  }
}

}  // namespace

absl::Status Feed(ChunkReader* reader, const RowParser& parser, const FeedOptions& options,
                  const FeedTarget& target, const std::function<void()>& cancel,
                  FeedReport* report) {
  Progress progress(options);
  ForkJoin(options.threads, [&](int) { Work(reader, parser, target, cancel, &progress); });
  return progress.Finish(report);
}

}  // namespace kvarts::groupby_text
