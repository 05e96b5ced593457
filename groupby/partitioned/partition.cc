#include "groupby/partitioned/partition.h"

#include <algorithm>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/status_macros.h"
#include "groupby/partitioned/row.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kMaxHeavyKeys = 16;    // of one partition
constexpr size_t kMaxPagesAtOnce = 64;  // that are written before others may go on

// Candidates for a fourth of a page (Misra and Gries, "Finding repeated elements", 1982):
// with three counters every key of more than a fourth is among them.
struct Candidate {
  uint64_t hash = 0;
  int64_t weight = 0;
  absl::string_view key;
};

}  // namespace

absl::StatusOr<uint32_t> SharedFile::Append(const Page& page) {
  MutexLock lock(&mu_);
  if (!engine_->ok()) return engine_->status();  // or the file were made anew
  if (file_ == nullptr) {
    KVARTS_ASSIGN_OR_RETURN(const std::string path, engine_->folder()->NewPath("rows"));
    KVARTS_ASSIGN_OR_RETURN(file_, SpillFile::New(engine_->options().fs, path));
  }
  KVARTS_RETURN_IF_ERROR(file_->Append(page.data, page.used - SpillFile::kHeaderBytes));
  engine_->counters().spilled_bytes.fetch_add(page.used, std::memory_order_relaxed);
  return static_cast<uint32_t>(file_->blocks() - 1);
}

absl::Status SharedFile::Read(uint32_t block, Page* page) {
  std::shared_ptr<const SpillFile> file;
  SpillFile::Block where{};
  {
    MutexLock lock(&mu_);
    if (file_ == nullptr) return engine_->status();
    file = file_;
    KVARTS_RETURN_IF_ERROR(file_->OpenForRead());
    where = file_->block(block);
  }
  KVARTS_ASSIGN_OR_RETURN(const absl::string_view bytes, file->ReadBlock(block, where, page->data));
  page->used = SpillFile::kHeaderBytes + bytes.size();
  return absl::OkStatus();
}

void SharedFile::RemoveUser() {
  if (--users_ == 0) Abandon();
}

void SharedFile::Abandon() {
  std::shared_ptr<SpillFile> file;  // closed behind the lock
  MutexLock lock(&mu_);
  file = std::move(file_);
}

Partition::~Partition() { FreePages(); }

absl::Status Partition::Append(absl::Span<const KeyValue> rows, const uint64_t* hashes,
                               absl::Span<uint32_t> order) {
  if (has_heavy_.load(std::memory_order_acquire)) {
    KVARTS_RETURN_IF_ERROR(AppendToTails(rows, hashes, &order));
  }
  size_t done = 0;
  Page spare;
  // Held with a spare page for a large row: of several threads' there may be no room
  // for all, and nothing else that could be spilled.
  absl::optional<MutexLock> large_row;
  while (true) {
    size_t wanted = 0;
    {
      MutexLock lock(&mu_);
      Fill(rows, order, &done, &spare, &wanted);
    }
    if (done == order.size()) break;
    engine_->FreePage(&spare);
    large_row.reset();
    if (wanted == 0) {  // a key has become heavy
      order.remove_prefix(done);
      done = 0;
      KVARTS_RETURN_IF_ERROR(AppendToTails(rows, hashes, &order));
      continue;
    }
    // The lock is free: making memory may mean to spill this partition.
    if (engine_->IsLarge(wanted)) large_row.emplace(engine_->large_row());
    KVARTS_ASSIGN_OR_RETURN(spare, engine_->TakePage(wanted, /*may_ask=*/true));
  }
  engine_->FreePage(&spare);
  return absl::OkStatus();
}

void Partition::Fill(absl::Span<const KeyValue> rows, absl::Span<const uint32_t> order,
                     size_t* done, Page* spare, size_t* wanted) {
  Page* page = pages_.empty() ? nullptr : &pages_.back();
  char* p = page == nullptr ? nullptr : page->data + page->used;
  char* end = page == nullptr ? nullptr : page->data + page->capacity;
  const auto close = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (page == nullptr) return;
    const size_t used = static_cast<size_t>(p - page->data);
    bytes_ += used - page->used;
    page->used = used;
  };
  size_t i = *done;
  for (; i < order.size(); ++i) {
    const KeyValue& row = rows[order[i]];
    const size_t size = RowSize(row);
    if (size > static_cast<size_t>(end - p)) [[unlikely]] {
      const size_t room = spare->data == nullptr ? 0 : spare->capacity - SpillFile::kHeaderBytes;
      if (room < size) {
        *wanted = size;
        break;
      }
      close();
      if (page != nullptr && bytes_ >= next_look_ && LookForHeavyKeys(*page)) break;
      pages_.push_back(*spare);
      pages_now_.store(pages_.size(), std::memory_order_relaxed);
      *spare = Page();
      page = &pages_.back();
      p = page->data + page->used;
      end = page->data + page->capacity;
    }
    p = PutRow(p, row);
  }
  rows_ += i - *done;
  *done = i;
  close();
}

absl::Status Partition::AppendToTails(absl::Span<const KeyValue> rows, const uint64_t* hashes,
                                      absl::Span<uint32_t>* order) {
  // Tails are only added, so that rows of one feeder never go back to this partition.
  HeavyKey* heavy[kMaxHeavyKeys];
  size_t count = 0;
  {
    MutexLock lock(&mu_);
    for (const auto& one : heavy_) heavy[count++] = one.get();
  }
  for (size_t h = 0; h < count; ++h) {
    std::vector<uint32_t> mine;
    size_t kept = 0;
    for (const uint32_t i : *order) {
      if (hashes[i] == heavy[h]->hash && rows[i].key == heavy[h]->key) {
        mine.push_back(i);
      } else {
        (*order)[kept++] = i;
      }
    }
    *order = order->subspan(0, kept);
    if (mine.empty()) continue;
    KVARTS_RETURN_IF_ERROR(heavy[h]->tail.Append(rows, hashes, absl::MakeSpan(mine)));
  }
  return absl::OkStatus();
}

bool Partition::LookForHeavyKeys(const Page& page) {
  next_look_ = 2 * bytes_;
  const size_t before = heavy_.size();
  Candidate candidates[3];
  KeyValue row;
  for (const char* p = page.begin(); p < page.end();) {
    const char* const next = GetRow(p, page.end(), &row);
    const int64_t weight = next - p;
    p = next;
    const uint64_t hash = HashKey(row.key);
    Candidate* free = nullptr;
    Candidate* same = nullptr;
    for (Candidate& c : candidates) {
      if (c.weight > 0 && c.hash == hash) same = &c;
      if (c.weight <= 0) free = &c;
    }
    if (same != nullptr) {
      same->weight += weight;
    } else if (free != nullptr) {
      *free = {hash, weight, row.key};
    } else {
      for (Candidate& c : candidates) c.weight -= weight;
    }
  }
  for (const Candidate& c : candidates) {
    if (c.weight <= 0 || heavy_.size() == kMaxHeavyKeys) continue;
    size_t bytes = 0;
    for (const char* p = page.begin(); p < page.end();) {
      const char* const next = GetRow(p, page.end(), &row);
      if (row.key == c.key) bytes += static_cast<size_t>(next - p);
      p = next;
    }
    if (bytes < (page.used - SpillFile::kHeaderBytes) / 4) continue;
    const bool known = std::any_of(heavy_.begin(), heavy_.end(),
                                   [&](const auto& heavy) { return heavy->key == c.key; });
    if (known) continue;
    heavy_.push_back(std::make_unique<HeavyKey>(engine_, file_, c.hash, std::string(c.key)));
    engine_->counters().heavy_keys.fetch_add(1, std::memory_order_relaxed);
    has_heavy_.store(true, std::memory_order_release);
  }
  return heavy_.size() > before;
}

absl::StatusOr<size_t> Partition::Spill(bool all) {
  if (!spilling_.TryLock()) return size_t{0};
  std::vector<Page> pages;
  {
    MutexLock lock(&mu_);
    const size_t keep = all ? 0 : 1;
    // Of what is claimed the pages are its reader's alone.
    if (!claimed_ && pages_.size() > keep) {
      // The first ones. A heavy key's tail may be most of memory: what need not be
      // written stays.
      const auto end =
          pages_.begin() + static_cast<ptrdiff_t>(std::min(pages_.size() - keep, kMaxPagesAtOnce));
      pages.assign(pages_.begin(), end);
      pages_.erase(pages_.begin(), end);
      pages_now_.store(pages_.size(), std::memory_order_relaxed);
    }
  }
  size_t given = 0;
  absl::Status status;
  std::vector<Block> blocks;
  for (Page& page : pages) {
    if (status.ok()) {
      const absl::StatusOr<uint32_t> number = file_->Append(page);
      if (number.ok()) {
        blocks.push_back({*number, static_cast<uint32_t>(page.capacity), page.from_pool});
      } else {
        status = number.status();
      }
    }
    given += page.capacity;
    engine_->FreePage(&page);
  }
  if (!pages.empty()) {
    if (!spilled_.exchange(true, std::memory_order_relaxed)) {
      engine_->counters().partitions.fetch_add(1, std::memory_order_relaxed);
    }
    MutexLock lock(&mu_);
    blocks_.insert(blocks_.end(), blocks.begin(), blocks.end());
  }
  // Rows are lost: nobody may read on, whatever the caller makes of the error, a full
  // disk's being that of full memory.
  if (!status.ok()) status = engine_->Fail(status);
  spilling_.Unlock();
  if (!status.ok()) return status;
  return given;
}

bool Partition::AwaitSpill() {
  if (spilling_.TryLock()) {
    spilling_.Unlock();
    return false;
  }
  MutexLock lock(&spilling_);
  return true;
}

void Partition::ListTails(std::vector<Partition*>* tails) {
  if (!has_heavy_.load(std::memory_order_acquire)) return;
  MutexLock lock(&mu_);
  for (const auto& heavy : heavy_) tails->push_back(&heavy->tail);
}

void Partition::Claim() {
  MutexLock spilling(&spilling_);
  MutexLock lock(&mu_);
  claimed_ = true;
}

void Partition::Unclaim() {
  MutexLock lock(&mu_);
  claimed_ = false;
}

void Partition::Measure(uint64_t* rows, size_t* room) const {
  MutexLock lock(&mu_);
  *rows = rows_;
  *room = 0;
  for (const Block& block : blocks_) *room += block.capacity;
  for (const Page& page : pages_) *room += page.capacity;
}

size_t Partition::blocks() const {
  MutexLock lock(&mu_);
  return blocks_.size();
}

absl::StatusOr<Page> Partition::ReadBlock(size_t i, bool may_ask) {
  Block block;
  {
    MutexLock lock(&mu_);
    block = blocks_[i];
  }
  const size_t bytes = (block.from_pool ? 0 : block.capacity - SpillFile::kHeaderBytes);
  KVARTS_ASSIGN_OR_RETURN(Page page, engine_->TakePage(bytes, may_ask));
  const absl::Status status = file_->Read(block.number, &page);
  if (!status.ok()) {
    engine_->FreePage(&page);
    return status;
  }
  return page;
}

void Partition::PutLoaded(std::vector<Page> pages) {
  pages_ = std::move(pages);
  pages_now_.store(pages_.size(), std::memory_order_relaxed);
  blocks_.clear();
}

void Partition::FreePages() {
  for (Page& page : pages_) engine_->FreePage(&page);
  pages_.clear();
  pages_now_.store(0, std::memory_order_relaxed);
}

}  // namespace kvarts::groupby_internal
