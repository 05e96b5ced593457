#ifndef KVARTS_GROUPBY_PARTITIONED_ORDERED_WRITER_H_
#define KVARTS_GROUPBY_PARTITIONED_ORDERED_WRITER_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "groupby/grouping.h"
#include "groupby/partitioned/engine.h"

namespace kvarts::groupby_internal {

// Thread-safe. Has the texts of parts, which several threads make, written in the order
// of the parts. One part at a time is the current one: only its text is written; those
// of later ones wait in pages, as far as there is memory to spare.
class OrderedWriter {
 public:
  OrderedWriter(Engine* engine, const Groups::Write& write, size_t first)
      : engine_(engine),
        write_(write),
        waiting_limit_(engine->waiting_text_bytes()),
        current_(first) {}
  ~OrderedWriter() {
    for (auto& [part, pages] : finished_) Free(&pages);
  }

  bool IsCurrent(size_t part) const { return current_.load(std::memory_order_acquire) == part; }

  // Has who waits look whether something failed.
  void WakeAll() {
    MutexLock lock(&mu_);
    changed_.SignalAll();
  }

  // Whether `part` may have so many bytes before its turn, along with the others.
  bool AdmitAhead(size_t part, size_t bytes) {
    MutexLock lock(&mu_);
    size_t sum = bytes;
    for (const auto& [other, its] : ahead_) sum += its;
    if (sum > engine_->ahead_bytes()) return false;
    if (!IsCurrent(part)) ahead_[part] = bytes;
    return true;
  }

  // Waits until `part` is the current one.
  absl::Status Await(size_t part) {
    MutexLock lock(&mu_);
    while (!IsCurrent(part)) {
      if (!engine_->ok()) return engine_->status();
      changed_.Wait(&mu_);
    }
    return absl::OkStatus();
  }

  // The text of one part.
  class Text final : public Groups::Output {
   public:
    Text(OrderedWriter* writer, size_t part) : writer_(writer), part_(part) {}
    ~Text() override { writer_->Free(&pages_); }

    absl::Status Append(absl::string_view text) override {
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

    absl::Status End() { return writer_->End(part_, &pages_); }

   private:
    absl::Status MakeRoom() {
      if (!writer_->IsCurrent(part_)) {
        if (writer_->MayWait()) {
          absl::StatusOr<Page> page = writer_->engine_->TakePage(0, /*may_ask=*/false);
          if (page.ok()) {
            writer_->waiting_.fetch_add(page->capacity, std::memory_order_relaxed);
            pages_.push_back(*page);
            pages_.back().used = 0;
            return absl::OkStatus();
          }
        }
        KVARTS_RETURN_IF_ERROR(writer_->Await(part_));
      }
      KVARTS_RETURN_IF_ERROR(writer_->WriteOut(&pages_, /*keep_one=*/true));
      if (!pages_.empty()) return absl::OkStatus();
      KVARTS_ASSIGN_OR_RETURN(const Page page, writer_->engine_->TakePage(0, /*may_ask=*/true));
      writer_->waiting_.fetch_add(page.capacity, std::memory_order_relaxed);
      pages_.push_back(page);
      pages_.back().used = 0;
      return absl::OkStatus();
    }

    OrderedWriter* const writer_;
    const size_t part_;
    std::vector<Page> pages_;
  };

 private:
  bool MayWait() const { return waiting_.load(std::memory_order_relaxed) < waiting_limit_; }

  void Free(std::vector<Page>* pages) {
    for (Page& page : *pages) {
      waiting_.fetch_sub(page.capacity, std::memory_order_relaxed);
      engine_->FreePage(&page);
    }
    pages->clear();
  }

  // Only for the current part.
  absl::Status WriteOut(std::vector<Page>* pages, bool keep_one) {
    for (const Page& page : *pages) {
      if (page.used == 0) continue;
      KVARTS_RETURN_IF_ERROR(write_(absl::string_view(page.data, page.used)));
    }
    Page kept;
    if (keep_one && !pages->empty()) {
      kept = pages->back();
      pages->pop_back();
    }
    Free(pages);
    if (kept.data != nullptr) {
      kept.used = 0;
      pages->push_back(kept);
    }
    return absl::OkStatus();
  }

  // `part` has all its text: it is written now, or when its turn comes, by whoever ends
  // the part before it.
  absl::Status End(size_t part, std::vector<Page>* pages) {
    {
      MutexLock lock(&mu_);
      ahead_.erase(part);
      if (!IsCurrent(part)) {
        finished_[part] = std::move(*pages);
        pages->clear();
        return absl::OkStatus();
      }
    }
    while (true) {
      KVARTS_RETURN_IF_ERROR(WriteOut(pages, /*keep_one=*/false));
      MutexLock lock(&mu_);
      current_.store(++part, std::memory_order_release);
      ahead_.erase(part);
      changed_.SignalAll();
      const auto next = finished_.find(part);
      if (next == finished_.end()) return absl::OkStatus();
      *pages = std::move(next->second);
      finished_.erase(next);
    }
  }

  Engine* const engine_;
  const Groups::Write& write_;
  const size_t waiting_limit_;
  std::atomic<size_t> waiting_{0};
  std::atomic<size_t> current_;

  Mutex mu_;
  CondVar changed_;
  std::map<size_t, std::vector<Page>> finished_ ABSL_GUARDED_BY(mu_);
  std::map<size_t, size_t> ahead_ ABSL_GUARDED_BY(mu_);  // bytes that AdmitAhead() gave
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_PARTITIONED_ORDERED_WRITER_H_
