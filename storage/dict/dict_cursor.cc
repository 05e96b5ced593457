#include "storage/dict/dict_cursor.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "storage/store.h"

namespace kvarts {
namespace {

// A position: "dp1", eight bytes of what the file is and where it is, eight
// bytes of where: the offset behind the last entry.
constexpr absl::string_view kPositionMagic = "dp1";
constexpr size_t kPositionBytes = 19;

uint64_t Seal(const FileInfo& info, uint64_t offset) {
  std::string bytes;
  AppendLE64(&bytes, info.size);
  AppendLE64(&bytes, static_cast<uint64_t>(info.modified_ns));
  // A file that replaces another of its size within one tick of the clock is not it.
  AppendLE64(&bytes, info.device);
  AppendLE64(&bytes, info.inode);
  AppendLE64(&bytes, offset);
  return Checksum(bytes);
}

std::string EncodePosition(const FileInfo& info, uint64_t offset) {
  std::string out(kPositionMagic);
  AppendLE64(&out, Seal(info, offset));
  AppendLE64(&out, offset);
  return out;
}

absl::StatusOr<uint64_t> DecodePosition(const FileInfo& info, absl::string_view position) {
  if (position.size() == kPositionBytes &&
      position.substr(0, kPositionMagic.size()) == kPositionMagic) {
    const uint64_t offset = LoadLE64(position.data() + 11);
    if (LoadLE64(position.data() + 3) == Seal(info, offset)) return offset;
  }
  return absl::InvalidArgumentError("not a position of a scan of this data file");
}

// Not thread-safe.
class DictCursor final : public Cursor {
 public:
  DictCursor(std::shared_ptr<const DictDataset> dataset, const ScanOptions& options)
      : dataset_(std::move(dataset)),
        keys_only_(options.keys_only),
        range_(options.range),
        slots_(options.slots),
        position_(options.resume_after),
        offset_(dataset_->data().begin()) {}

  absl::Status Init() {
    if (position_.empty()) return absl::OkStatus();
    KVARTS_ASSIGN_OR_RETURN(offset_, DecodePosition(dataset_->info(), position_));
    return absl::OkStatus();
  }

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    page->Reset();
    page->bytes().AddPin(dataset_);
    const std::atomic<uint32_t>& losses = dataset_->index_losses();
    const uint32_t seen = losses.load(std::memory_order_acquire);
    page->bytes().WatchLosses(losses, seen);
    size_t bytes = 0;
    uint64_t offset = offset_;
    while (offset < dataset_->data().size() && page->size() < std::max<size_t>(limits.entries, 1)) {
      ScanEntry entry;
      uint64_t next;
      const Line line = ReadLine(offset, &entry, &next);
      if (line == Line::kLost) {
        page->Reset();
        return dataset_->Error(DictDataset::Outcome::kDataLost);
      }
      if (line == Line::kEntry) {
        if (keys_only_) entry.value = {};
        bytes += entry.key.size() + entry.value.size();
        if (!page->empty() && bytes > limits.bytes) break;
        page->Add(entry);
      }
      offset = next;
    }
    if (losses.load(std::memory_order_acquire) != 0) {
      // What was read may be the zeros that took the place of a page that is gone.
      for (const ScanEntry& entry : *page) {
        if (dataset_->Recheck(true, entry.key) == DictDataset::Outcome::kFound &&
            dataset_->Recheck(true, entry.value) == DictDataset::Outcome::kFound) {
          continue;
        }
        page->Reset();
        return dataset_->Error(DictDataset::Outcome::kDataLost);
      }
    }
    offset_ = offset;
    if (!page->empty()) position_ = EncodePosition(dataset_->info(), offset);
    return absl::OkStatus();
  }

  std::string position() const override { return position_; }

 private:
  enum class Line : unsigned char { kEntry = 0, kSkipped, kLost };

  // Sets `next` to the line behind, and of an entry the key and value.
  Line ReadLine(uint64_t offset, ScanEntry* entry, uint64_t* next) const {
    const DataFileMap& data = dataset_->data();
    const bool held = data.Get(offset, &entry->key, &entry->value);
    if (!dataset_->gaps()) {
      if (!held) return Line::kLost;
      *next = End(entry->value);
      return Wanted(*entry) ? Line::kEntry : Line::kSkipped;
    }
    // Get() takes what lies before a space for a key.
    const bool is_line =
        held && !entry->key.empty() && entry->key.find('\n') == absl::string_view::npos;
    if (is_line) {
      *next = End(entry->value);
      return Wanted(*entry) && dataset_->IsRecord(entry->key, offset) ? Line::kEntry
                                                                      : Line::kSkipped;
    }
    const auto now = data.file()->CurrentSize();
    if (data.file()->poisoned() || !now.ok() || *now < data.size()) return Line::kLost;
    const void* const newline = std::memchr(data.data() + offset, '\n', data.size() - offset);
    *next = newline == nullptr ? data.size() : static_cast<const char*>(newline) - data.data() + 1;
    return Line::kSkipped;
  }

  uint64_t End(absl::string_view value) const {
    return value.data() + value.size() + 1 - dataset_->data().data();
  }
  bool Wanted(const ScanEntry& entry) const {
    return range_.Contains(entry.key) && InSlots(entry.key, slots_);
  }

  const std::shared_ptr<const DictDataset> dataset_;
  const bool keys_only_;
  const KeyRange range_;
  const std::vector<SlotRange> slots_;
  std::string position_;
  uint64_t offset_;  // of the next line
};

}  // namespace

absl::StatusOr<std::unique_ptr<Cursor>> NewDictCursor(std::shared_ptr<const DictDataset> dataset,
                                                      const ScanOptions& options) {
  auto cursor = std::make_unique<DictCursor>(std::move(dataset), options);
  KVARTS_RETURN_IF_ERROR(cursor->Init());
  return std::unique_ptr<Cursor>(std::move(cursor));
}

}  // namespace kvarts
