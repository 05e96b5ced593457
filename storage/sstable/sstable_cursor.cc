#include "storage/sstable/sstable_cursor.h"

#include <algorithm>
#include <utility>

#include "base/checksum.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts::sstable {
namespace {

// A position: its version, eight bytes of a checksum of the scan and the key, the key. It is good
// in any process, and foreign bytes and those of another scan are refused.
constexpr char kPositionVersion = 1;
constexpr size_t kPositionHeader = 9;
// Larger values are lent to the page; a copy of a smaller one costs less than the pin.
constexpr size_t kLentBytes = 4 << 10;
// From so many versions of a key on, a seek to the next key is less work than steps.
constexpr int kStepsBeforeSeek = 8;
// Entries in a row that nobody can see. To pass them takes about a millisecond.
constexpr int kDeadRun = 10'000;

uint64_t PositionChecksum(const ScanOptions& scan, absl::string_view key) {
  std::string text = scan.backward ? "<" : ">";
  AppendSized(&text, scan.range.begin);
  AppendSized(&text, scan.range.end);
  return Checksum(key, Checksum(text));
}

// Not thread-safe.
class SstableCursor final : public Cursor {
 public:
  SstableCursor(std::shared_ptr<ReadCore> core, const ScanOptions& scan)
      : core_(std::move(core)), scan_(scan) {}

  absl::Status Resume() {
    const absl::string_view position = scan_.resume_after;
    if (position.empty()) return absl::OkStatus();
    if (position.size() >= kPositionHeader && position[0] == kPositionVersion) {
      const absl::string_view key = position.substr(kPositionHeader);
      if (LoadLE64(position.data() + 1) == PositionChecksum(scan_, key)) {
        last_ = std::string(key);
        return absl::OkStatus();
      }
    }
    return absl::InvalidArgumentError("resume_after is not a position of this scan");
  }

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    page->Reset();
    if (at_end_ || scan_.range.empty()) return absl::OkStatus();
    const ReadCore::Now now = core_->Take();
    const auto* const snapshot = static_cast<const SstableSnapshot*>(scan_.snapshot.get());
    at_ = snapshot == nullptr ? now.visible : snapshot->sequence();
    now_ms_ = core_->NowMs();
    limits_ = limits;
    limits_.entries = std::max<size_t>(limits.entries, 1);
    bytes_ = 0;
    dead_ = longest_dead_ = 0;
    page_ = page;
    std::string begin = scan_.range.begin;
    std::string end = scan_.range.end;
    if (last_.has_value() && scan_.backward) end = *last_;
    if (last_.has_value() && !scan_.backward) begin = *last_ + '\0';
    absl::Status status;
    if (scan_.backward && last_.has_value() && last_->empty()) {
      status = absl::OkStatus();  // nothing is in front of the empty key
    } else {
      auto sources = NewScan(*now.sources, core_->tables(), begin, end);
      status = sources.status();
      if (status.ok()) {
        status = scan_.backward ? FillBackwards(&*sources, begin, end)
                                : FillForwards(&*sources, begin, end);
      }
    }
    if (!status.ok()) {
      page->Reset();
      return status;
    }
    // With a snapshot some of them may be what another one sees.
    if (longest_dead_ >= kDeadRun && snapshot == nullptr) core_->NoteDeadRun();
    at_end_ = page->empty();
    if (!at_end_) last_ = std::string((page->end() - 1)->key);
    return status;
  }

  std::string position() const override {
    if (!last_.has_value()) return "";
    std::string out(1, kPositionVersion);
    AppendLE64(&out, PositionChecksum(scan_, *last_));
    return out + *last_;
  }

 private:
  absl::Status FillForwards(Scan* scan, const std::string& begin, const std::string& end) {
    Iterator& it = *scan->entries;
    it.Seek(begin, SeekTrailer(kMaxSequence));
    std::string key;
    while (it.valid()) {
      const Entry& entry = it.entry();
      if (!end.empty() && entry.key >= absl::string_view(end)) break;
      if (entry.sequence() > at_) {
        it.Next();
        continue;
      }
      // The newest version that is seen.
      key.assign(entry.key.data(), entry.key.size());
      bool more = true;
      if (entry.is_put() && scan->Covering(key, at_) < entry.sequence()) {
        dead_ = 0;
        KVARTS_ASSIGN_OR_RETURN(more, Emit(entry, PinOf(it)));
      } else {
        CountDead();
      }
      if (!more) break;
      // Passes the other versions of the key.
      int steps = 0;
      do {
        if (++steps > kStepsBeforeSeek) {
          it.Seek(key + '\0', SeekTrailer(kMaxSequence));
          break;
        }
        it.Next();
      } while (it.valid() && it.entry().key == key);
    }
    return it.status();
  }

  absl::Status FillBackwards(Scan* scan, const std::string& begin, const std::string& end) {
    Iterator& it = *scan->entries;
    if (end.empty() && !(last_.has_value())) {
      it.SeekToLast();
    } else {
      it.SeekBefore(end, ~Trailer{0});
    }
    std::string key;
    std::string blob;
    while (it.valid()) {
      // The versions of a key come from the oldest on: the last one that is seen counts.
      key.assign(it.entry().key.data(), it.entry().key.size());
      if (key < begin) break;
      Entry newest;
      Pin pin;
      bool any = false;
      while (it.valid() && it.entry().key == key) {
        const Entry& entry = it.entry();
        if (entry.sequence() <= at_) {
          any = true;
          newest = entry;
          pin = PinOf(it);
          if (pin == nullptr) {
            blob.assign(entry.blob.data(), entry.blob.size());
            newest.blob = blob;
          }
        }
        it.Prev();
      }
      newest.key = key;
      if (!any || !newest.is_put() || scan->Covering(key, at_) >= newest.sequence()) {
        CountDead();
        continue;
      }
      dead_ = 0;
      KVARTS_ASSIGN_OR_RETURN(const bool more, Emit(newest, pin));
      if (!more) break;
    }
    return it.status();
  }

  void CountDead() { longest_dead_ = std::max(longest_dead_, ++dead_); }

  // Keeps an entry that is large; null: it is copied.
  static Pin PinOf(const Iterator& it) {
    return it.entry().blob.size() >= kLentBytes ? it.pin() : nullptr;
  }

  // False: the page is full, and has it not.
  absl::StatusOr<bool> Emit(const Entry& entry, const Pin& pin) {
    ScanEntry out;
    absl::string_view type;
    absl::string_view value;
    if (!entry.Decode(&out.expires_at_ms, &type, &value)) {
      return absl::DataLossError("an entry that is none");
    }
    if (out.expires_at_ms != 0 && out.expires_at_ms <= now_ms_) return true;
    if (!InSlots(entry.key, scan_.slots)) return true;
    const size_t bytes = entry.key.size() + (scan_.keys_only ? 0 : value.size());
    if (!page_->empty() && (page_->size() >= limits_.entries || bytes_ + bytes > limits_.bytes)) {
      return false;
    }
    bytes_ += bytes;
    const bool lends = value.size() >= kLentBytes && pin != nullptr;
    const bool copies = !scan_.keys_only && !lends;
    const size_t size = entry.key.size() + type.size() + (copies ? value.size() : 0);
    char* p = size == 0 ? nullptr : page_->bytes().Allocate(size);
    const auto copy = [&p](absl::string_view from) {
      char* const to = p;
      p = std::copy(from.begin(), from.end(), p);
      return absl::string_view(to, from.size());
    };
    out.key = copy(entry.key);
    out.content_type = copy(type);
    if (copies) {
      out.value = copy(value);
    } else if (!scan_.keys_only) {
      page_->bytes().AddPin(pin);
      out.value = value;
    }
    page_->Add(out);
    return true;
  }

  const std::shared_ptr<ReadCore> core_;
  const ScanOptions scan_;
  std::optional<std::string> last_;
  bool at_end_ = false;

  // These hold for the page that is being filled.
  Sequence at_ = 0;
  int64_t now_ms_ = 0;
  PageLimits limits_;
  size_t bytes_ = 0;
  int dead_ = 0;          // keys since the last that is there
  int longest_dead_ = 0;  // ... at the most
  ScanPage* page_ = nullptr;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Cursor>> NewSstableCursor(std::shared_ptr<ReadCore> core,
                                                         const ScanOptions& options) {
  auto cursor = std::make_unique<SstableCursor>(std::move(core), options);
  KVARTS_RETURN_IF_ERROR(cursor->Resume());
  return cursor;
}

}  // namespace kvarts::sstable
