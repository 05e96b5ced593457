#include "groupby/spill/ordered_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/status_macros.h"

namespace kvarts::groupby_internal {

OrderedWriter::~OrderedWriter() {
  for (auto& [part, finished] : finished_) Free(&finished.pages);
}

void OrderedWriter::WakeAll() {
  MutexLock lock(&mu_);
  changed_.SignalAll();
}

bool OrderedWriter::AdmitAhead(uint64_t part, size_t bytes) {
  MutexLock lock(&mu_);
  size_t sum = bytes;
  for (const auto& [other, its] : ahead_) sum += its;
  if (sum > owner_->ahead_bytes()) return false;
  if (!IsCurrent(part)) ahead_[part] = bytes;
  return true;
}

absl::Status OrderedWriter::Await(uint64_t part) {
  MutexLock lock(&mu_);
  while (!IsCurrent(part)) {
    if (!owner_->ok()) return owner_->status();
    changed_.Wait(&mu_);
  }
  return absl::OkStatus();
}

bool OrderedWriter::TakePage(std::vector<Page>* pages) {
  char* const data = pool_->TryTake();
  if (data == nullptr) return false;
  const size_t bytes = pool_->page_bytes();
  waiting_.fetch_add(bytes, std::memory_order_relaxed);
  pages->push_back(Page{data, 0, bytes});
  return true;
}

void OrderedWriter::Free(std::vector<Page>* pages) {
  for (const Page& page : *pages) {
    if (!page.from_pool) continue;
    waiting_.fetch_sub(page.capacity, std::memory_order_relaxed);
    pool_->Give(page.data);
  }
  pages->clear();
}

absl::Status OrderedWriter::WriteOut(std::vector<Page>* pages) {
  for (const Page& page : *pages) {
    if (page.used == 0) continue;
    KVARTS_RETURN_IF_ERROR(write_(absl::string_view(page.data, page.used)));
  }
  return absl::OkStatus();
}

absl::Status OrderedWriter::Text::Append(absl::string_view text) {
  while (true) {
    if (!pages_.empty() && !text.empty()) {
      Page& page = pages_.back();
      const size_t n = std::min(text.size(), page.capacity - page.used);
      std::memcpy(page.data + page.used, text.data(), n);
      page.used += n;
      text.remove_prefix(n);
    }
    if (text.empty()) return absl::OkStatus();
    KVARTS_RETURN_IF_ERROR(MakeRoom());
  }
}

absl::Status OrderedWriter::Text::MakeRoom() {
  if (!writer_->IsCurrent(begin_)) {
    if (writer_->MayWait() && writer_->TakePage(&pages_)) return absl::OkStatus();
    KVARTS_RETURN_IF_ERROR(writer_->Await(begin_));
  }
  KVARTS_RETURN_IF_ERROR(writer_->WriteOut(&pages_));
  if (!pages_.empty() && pages_.back().from_pool) {
    Page kept = pages_.back();
    pages_.pop_back();
    kept.used = 0;
    writer_->Free(&pages_);
    pages_.push_back(kept);
    return absl::OkStatus();
  }
  pages_.clear();  // its own, at most
  if (!writer_->TakePage(&pages_)) pages_.push_back(Page{own_, 0, sizeof own_, false});
  return absl::OkStatus();
}

absl::Status OrderedWriter::Text::End() {
  OrderedWriter& w = *writer_;
  uint64_t part = begin_;
  {
    MutexLock lock(&w.mu_);
    w.ahead_.erase(part);
    if (!w.IsCurrent(part)) {
      w.finished_[part] = Finished{end_, std::move(pages_)};
      pages_.clear();
      return absl::OkStatus();
    }
  }
  uint64_t next = end_;
  while (true) {
    KVARTS_RETURN_IF_ERROR(w.WriteOut(&pages_));
    w.Free(&pages_);
    MutexLock lock(&w.mu_);
    part = next;
    w.current_.store(part, std::memory_order_release);
    w.ahead_.erase(part);
    w.changed_.SignalAll();
    const auto finished = w.finished_.find(part);
    if (finished == w.finished_.end()) return absl::OkStatus();
    next = finished->second.end;
    pages_ = std::move(finished->second.pages);
    w.finished_.erase(finished);
  }
}

}  // namespace kvarts::groupby_internal
