#include "testing/model/model_cursor.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/mutex.h"
#include "base/status_macros.h"

namespace kvarts::model {
namespace {

// Positions, which outlive this process and come back from clients:
//
//   byte 0     the version of the layout, 1
//   bytes 1-8  a checksum of the scan and the key, little-endian
//   the rest   the last key given out
//
// The checksum refuses damaged bytes, and positions of scans over another range.
constexpr char kPositionVersion = 1;
constexpr size_t kPositionHeader = 9;

uint64_t PositionChecksum(const ScanOptions& scan, bool by_key, absl::string_view key) {
  std::string text = absl::StrCat(scan.backward ? "<" : ">", by_key ? "k" : "h");
  for (const std::string* part : {&scan.range.begin, &scan.range.end}) {
    absl::StrAppend(&text, part->size(), ":", *part);
  }
  return Checksum(key, Checksum(text));
}

std::string EncodePosition(const ScanOptions& scan, bool by_key, absl::string_view key) {
  std::string out(1, kPositionVersion);
  AppendLE64(&out, PositionChecksum(scan, by_key, key));
  out.append(key.data(), key.size());
  return out;
}

absl::StatusOr<std::string> DecodePosition(const ScanOptions& scan, bool by_key) {
  const absl::string_view position = scan.resume_after;
  if (position.size() >= kPositionHeader && position[0] == kPositionVersion) {
    const absl::string_view key = position.substr(kPositionHeader);
    if (LoadLE64(position.data() + 1) == PositionChecksum(scan, by_key, key)) {
      return std::string(key);
    }
  }
  return absl::InvalidArgumentError("resume_after is not a position of this scan");
}

// Not thread-safe. Remembers the last key it gave out, nothing else: whatever is written
// meanwhile, the next page goes on behind that key.
class ModelCursor final : public Cursor {
 public:
  // `last` is the key to go on behind.
  ModelCursor(std::shared_ptr<ModelData> data, const Clock* clock, bool by_key,
              const ScanOptions& scan, std::optional<std::string> last)
      : data_(std::move(data)),
        clock_(clock),
        by_key_(by_key),
        scan_(scan),
        last_(std::move(last)) {}

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    page->Reset();
    if (at_end_ || scan_.range.empty()) return absl::OkStatus();
    MutexLock lock(&data_->mu);
    const Entries* entries = nullptr;
    KVARTS_RETURN_IF_ERROR(Resolve(scan_.snapshot, *data_, &entries));
    auto first = entries->begin();
    auto end = entries->end();
    if (by_key_) {  // else the range lies scattered
      first = entries->lower_bound(scan_.range.begin);
      if (!scan_.range.end.empty()) end = entries->lower_bound(scan_.range.end);
    }
    if (scan_.backward) {
      if (last_.has_value()) end = entries->lower_bound(*last_);
      Fill(std::make_reverse_iterator(end), std::make_reverse_iterator(first), limits, page);
    } else {
      if (last_.has_value()) first = entries->upper_bound(*last_);
      Fill(first, end, limits, page);
    }
    at_end_ = page->empty();
    return absl::OkStatus();
  }

  std::string position() const override {
    return last_.has_value() ? EncodePosition(scan_, by_key_, *last_) : "";
  }

 private:
  template <typename Iterator>
  void Fill(Iterator first, Iterator end, const PageLimits& limits, ScanPage* page) {
    const int64_t now_ms = absl::ToUnixMillis(clock_->Now());
    const size_t max_entries = std::max<size_t>(limits.entries, 1);
    size_t bytes = 0;
    for (; first != end && page->size() < max_entries; ++first) {
      const auto& [key, entry] = *first;
      if (!entry.LiveAt(now_ms) || !scan_.range.Contains(key) || !InSlots(key, scan_.slots)) {
        continue;
      }
      bytes += key.size() + (scan_.keys_only ? 0 : entry.value.size());
      if (bytes > limits.bytes && !page->empty()) break;
      ScanEntry out;
      out.key = page->bytes().Copy(key);
      if (!scan_.keys_only) out.value = page->bytes().Copy(entry.value);
      out.content_type = page->bytes().Copy(entry.content_type);
      out.expires_at_ms = entry.expires_at_ms;
      page->Add(out);
      last_ = key;
    }
  }

  const std::shared_ptr<ModelData> data_;
  const Clock* const clock_;
  const bool by_key_;
  const ScanOptions scan_;
  std::optional<std::string> last_;
  bool at_end_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Cursor>> NewModelCursor(std::shared_ptr<ModelData> data,
                                                       const Clock* clock, bool by_key,
                                                       const ScanOptions& options) {
  std::optional<std::string> last;
  if (!options.resume_after.empty()) {
    KVARTS_ASSIGN_OR_RETURN(last, DecodePosition(options, by_key));
  }
  return std::make_unique<ModelCursor>(std::move(data), clock, by_key, options, std::move(last));
}

}  // namespace kvarts::model
