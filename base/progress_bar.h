#ifndef KVARTS_BASE_PROGRESS_BAR_H_
#define KVARTS_BASE_PROGRESS_BAR_H_

#include "base/language.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/progress.h"

namespace kvarts {

// Thread-safe. Shows progress to a person. On a terminal one line for each
// phase, drawn anew at most ten times a second:
//   sorting  [=========>           ]  43%  52.3 MiB/s  0:12 left
// Elsewhere (a log) a line at most every 3 seconds:
//   sorting: 43%, 52.3 MiB/s, 0:12 left
// A note stands at the end of either.
// Phases that end within half a second are not shown. Draws only in Report():
// it has no thread.
class ProgressBar final : public ProgressSink {
 public:
  // Called under a lock, with one line or one drawing at a time.
  using Output = std::function<void(absl::string_view)>;

  // `columns` of a terminal; 0: not a terminal. `clock` must outlive the bar.
  ProgressBar(int columns, const Clock* clock, Output output);
  // On this process's stderr, as wide as its terminal, if it is one.
  static std::unique_ptr<ProgressBar> OnStderr();
  ~ProgressBar() override { Finish(); }

  void Report(absl::string_view phase, absl::string_view unit, uint64_t done,
              uint64_t total) override;
  void Note(absl::string_view note) override;

  // Ends the phase and its line. What is reported later begins another.
  void Finish();
  // Takes its line off a terminal, where something else is to be shown. Nothing is shown from now
  // on.
  void Stop();

 private:
  void FinishLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Draw(absl::Duration elapsed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string Amount(double units) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const int columns_;
  const Clock* const clock_;
  const Output output_;

  Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  bool active_ ABSL_GUARDED_BY(mu_) = false;
  bool shown_ ABSL_GUARDED_BY(mu_) = false;
  std::string phase_ ABSL_GUARDED_BY(mu_);
  std::string unit_ ABSL_GUARDED_BY(mu_);
  std::string note_ ABSL_GUARDED_BY(mu_);    // of this phase
  uint64_t first_ ABSL_GUARDED_BY(mu_) = 0;  // done when the phase began
  uint64_t done_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t total_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time start_ ABSL_GUARDED_BY(mu_);
  absl::Time drawn_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts

#endif  // KVARTS_BASE_PROGRESS_BAR_H_
