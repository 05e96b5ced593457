#include "base/progress_bar.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/size.h"

namespace kvarts {
namespace {

constexpr absl::Duration kQuiet = absl::Milliseconds(500);
constexpr absl::Duration kRedraw = absl::Milliseconds(100);
constexpr absl::Duration kLogEvery = absl::Seconds(3);
constexpr int kMaxBar = 40;
constexpr size_t kUsualTail = 36;

// "0:12", "1:02:03".
std::string FormatTime(absl::Duration time) {
  const int64_t s = std::max<int64_t>(0, absl::ToInt64Seconds(time + absl::Milliseconds(500)));
  if (s >= 3600) return absl::StrFormat("%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
  return absl::StrFormat("%d:%02d", s / 60, s % 60);
}

void WriteStderr(absl::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

ProgressBar::ProgressBar(int columns, const Clock* clock, Output output)
    : columns_(columns), clock_(clock), output_(std::move(output)) {}

std::unique_ptr<ProgressBar> ProgressBar::OnStderr() {
  int columns = 0;
  if (::isatty(STDERR_FILENO) != 0) {
    winsize size = {};
    columns = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  }
  return std::make_unique<ProgressBar>(columns, Clock::Real(), WriteStderr);
}

void ProgressBar::Report(absl::string_view phase, absl::string_view unit, uint64_t done,
                         uint64_t total) {
  MutexLock lock(&mu_);
  if (stopped_) return;
  const absl::Time now = clock_->Now();
  if (!active_ || phase != phase_) {
    FinishLocked();
    active_ = true;
    phase_ = std::string(phase);
    first_ = done_ = done;
    start_ = now;
  }
  unit_ = std::string(unit);
  total_ = total;
  done_ = std::max(done_, done);  // reports of several threads may overtake each other
  const absl::Duration elapsed = now - start_;
  const absl::Duration interval = columns_ > 0 ? kRedraw : kLogEvery;
  if (elapsed < kQuiet || (shown_ && now - drawn_ < interval)) return;
  drawn_ = now;
  shown_ = true;
  Draw(elapsed);
}

void ProgressBar::Note(absl::string_view note) {
  MutexLock lock(&mu_);
  note_ = std::string(note);
}

void ProgressBar::Finish() {
  MutexLock lock(&mu_);
  FinishLocked();
}

void ProgressBar::Stop() {
  MutexLock lock(&mu_);
  if (active_ && shown_ && columns_ > 0) output_("\r\x1b[K");
  stopped_ = true;
  active_ = false;
}

void ProgressBar::FinishLocked() {
  if (active_ && shown_) {
    const absl::Duration elapsed = clock_->Now() - start_;
    if (columns_ > 0) {
      Draw(elapsed);
      output_("\n");
    } else if (done_ >= total_) {  // else it was given up, and an error says so
      output_(absl::StrCat(phase_, ": ", Amount(static_cast<double>(done_)), " in ",
                           FormatTime(elapsed), "\n"));
    }
  }
  active_ = false;
  shown_ = false;
  note_.clear();
}

std::string ProgressBar::Amount(double units) const {
  if (unit_ == "bytes") return FormatSize(static_cast<uint64_t>(units));
  return absl::StrCat(FormatCount(units), " ", unit_);
}

void ProgressBar::Draw(absl::Duration elapsed) {
  const double seconds = std::max(absl::ToDoubleSeconds(elapsed), 1e-3);
  const double rate = static_cast<double>(done_ - first_) / seconds;
  const std::string speed = absl::StrCat(Amount(rate), "/s");
  const std::string note = note_.empty() ? "" : absl::StrCat(columns_ > 0 ? "  " : ", ", note_);
  if (total_ == 0) {
    const std::string amount = Amount(static_cast<double>(done_));
    if (columns_ == 0) {
      output_(absl::StrCat(phase_, ": ", amount, ", ", speed, note, "\n"));
    } else {
      const std::string line = absl::StrCat(phase_, "  ", amount, "  ", speed, note);
      output_(absl::StrCat("\r", line.substr(0, static_cast<size_t>(columns_ - 1)), "\x1b[K"));
    }
    return;
  }
  const double part = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
  // Not rounded up: 100% is the end.
  const std::string percent = absl::StrCat(static_cast<int>(part * 100), "%");
  std::string left;
  if (done_ >= total_) {
    left = absl::StrCat("in ", FormatTime(elapsed));
  } else if (rate > 0) {
    left = absl::StrCat(FormatTime(absl::Seconds(static_cast<double>(total_ - done_) / rate)),
                        " left");
  } else {
    left = "-:-- left";
  }
  if (columns_ == 0) {
    output_(absl::StrCat(phase_, ": ", percent, ", ", speed, ", ", left, note, "\n"));
    return;
  }
  const std::string tail = absl::StrFormat("  %4s  %s  %s%s", percent, speed, left, note);
  std::string line = phase_;
  // The last column stays free: a full line wraps on some terminals. A tail of
  // any usual length leaves the bar as wide as it is.
  const int room =
      columns_ - 1 - static_cast<int>(phase_.size() + std::max(tail.size(), kUsualTail)) - 4;
  if (room >= 5) {
    const int bar = std::min(room, kMaxBar);
    const int filled = static_cast<int>(part * bar);
    std::string cells(static_cast<size_t>(filled), '=');
    if (filled < bar) cells += '>';
    cells.resize(static_cast<size_t>(bar), ' ');
    absl::StrAppend(&line, "  [", cells, "]");
  }
  line += tail;
  output_(absl::StrCat("\r", line.substr(0, static_cast<size_t>(columns_ - 1)), "\x1b[K"));
}

}  // namespace kvarts
