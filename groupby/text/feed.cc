#include "groupby/text/feed.h"

#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"

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
      lines_.emplace(chunk, rows.lines());
      while (!lines_.empty() && lines_.begin()->first == next_) {
        line_ += lines_.begin()->second;
        lines_.erase(lines_.begin());
        ++next_;
      }
    }
    if (options_.progress) options_.progress(now.rows, now.skipped);
  }

  // Chunk `chunk` went wrong; `in_line`, where its lines are known, in the line of its
  // first error.
  void Fail(uint64_t chunk, absl::Status status, bool in_line) {
    MutexLock lock(&mu_);
    FailLocked(chunk, std::move(status), in_line, 0);
  }

  // When all threads are done.
  absl::Status Finish(FeedReport* report) {
    MutexLock lock(&mu_);
    *report = report_;
    if (!in_line_) return status_;
    // All chunks before the first wrong one were parsed, and counted.
    return absl::Status(
        status_.code(),
        absl::StrCat(options_.name, ", line ", line_ + line_in_chunk_, ": ", status_.message()));
  }

 private:
  void FailLocked(uint64_t chunk, absl::Status status, bool in_line, uint64_t line_in_chunk)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (chunk >= failed_) return;
    failed_ = chunk;
    status_ = std::move(status);
    in_line_ = in_line;
    line_in_chunk_ = line_in_chunk;
  }

  const FeedOptions& options_;
  Mutex mu_;
  std::map<uint64_t, uint64_t> lines_ ABSL_GUARDED_BY(mu_);  // of chunks from next_ on
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t line_ ABSL_GUARDED_BY(mu_);  // the first of chunk next_
  uint64_t failed_ ABSL_GUARDED_BY(mu_) = UINT64_MAX;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  bool in_line_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t line_in_chunk_ ABSL_GUARDED_BY(mu_) = 0;
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
      const bool too_long = absl::IsOutOfRange(more.status());
      progress->Fail(chunk.number,
                     too_long ? absl::InvalidArgumentError(more.status().message()) : more.status(),
                     too_long);
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
    absl::Status added = target(chunk.number, rows.rows());
    if (!added.ok()) {
      reader->Stop();
      // Where another thread's error is the reason, it is told, wherever it was.
      const bool secondary = absl::IsCancelled(added);
      progress->Fail(secondary ? UINT64_MAX - 1 : chunk.number, std::move(added), false);
      if (!secondary) cancel();
      return;
    }
  }
}

}  // namespace

absl::Status Feed(ChunkReader* reader, const RowParser& parser, const FeedOptions& options,
                  const FeedTarget& target, const std::function<void()>& cancel,
                  FeedReport* report) {
  Progress progress(options);
  const auto work = [&] { Work(reader, parser, target, cancel, &progress); };
  std::vector<std::thread> threads;
  for (int i = 1; i < options.threads; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return progress.Finish(report);
}

}  // namespace kvarts::groupby_text
