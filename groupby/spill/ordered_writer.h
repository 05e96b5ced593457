#ifndef KVARTS_GROUPBY_SPILL_ORDERED_WRITER_H_
#define KVARTS_GROUPBY_SPILL_ORDERED_WRITER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "groupby/grouping.h"
#include "groupby/spill/page_pool.h"

namespace kvarts::groupby_internal {

// Thread-safe. Has the texts of parts, which several threads make, written in the order
// of the parts. One part at a time is the current one: only its text is written; those
// of later ones wait in pages, as far as there is memory to spare.
//
// Parts are ranges of numbers without gaps: the current one is that which begins where
// the last one that was written ends.
class OrderedWriter {
 public:
  // Thread-safe. Whose parts they are.
  class Owner {
   public:
    virtual ~Owner() = default;
    // Not OK once something has failed, or was cancelled.
    virtual bool ok() const = 0;
    virtual absl::Status status() const = 0;
    // What parts may take before their turn, all of them together.
    virtual size_t ahead_bytes() const = 0;
  };

  // All outlive this. `first` is where the first part begins; text of `waiting_limit` bytes
  // and a page for each thread may wait.
  OrderedWriter(Owner* owner, PagePool* pool, const Groups::Write& write, uint64_t first,
                size_t waiting_limit)
      : owner_(owner), pool_(pool), write_(write), waiting_limit_(waiting_limit), current_(first) {}
  ~OrderedWriter();

  bool IsCurrent(uint64_t part) const { return current_.load(std::memory_order_acquire) == part; }

  // Has who waits look whether something failed.
  void WakeAll();
  // Whether `part` may have so many bytes before its turn, along with the others.
  bool AdmitAhead(uint64_t part, size_t bytes);
  // Waits until `part` is the current one.
  absl::Status Await(uint64_t part);

 private:
  struct Page {
    char* data = nullptr;
    size_t used = 0;
    size_t capacity = 0;
    bool from_pool = true;
  };

 public:
  // Not thread-safe. The text of the part [begin, end).
  class Text final : public Groups::Output {
   public:
    Text(OrderedWriter* writer, uint64_t begin, uint64_t end)
        : writer_(writer), begin_(begin), end_(end) {}
    ~Text() override { writer_->Free(&pages_); }
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;

    absl::Status Append(absl::string_view text) override;
    // That was all: it is written now, or when its turn comes, by whoever ends the part
    // before it.
    absl::Status End();

   private:
    absl::Status MakeRoom();

    OrderedWriter* const writer_;
    const uint64_t begin_;
    const uint64_t end_;
    std::vector<Page> pages_;
    // Of the current part, where there is no memory for a page: it waits for none.
    char own_[16 << 10];  // not zeroed
  };

 private:
  struct Finished {
    uint64_t end = 0;
    std::vector<Page> pages;
  };

  bool MayWait() const { return waiting_.load(std::memory_order_relaxed) < waiting_limit_; }
  bool TakePage(std::vector<Page>* pages);
  void Free(std::vector<Page>* pages);
  // Only for the current part.
  absl::Status WriteOut(std::vector<Page>* pages);

  Owner* const owner_;
  PagePool* const pool_;
  const Groups::Write& write_;
  const size_t waiting_limit_;
  std::atomic<size_t> waiting_{0};  // bytes of pages
  std::atomic<uint64_t> current_;

  Mutex mu_;
  CondVar changed_;
  std::map<uint64_t, Finished> finished_ ABSL_GUARDED_BY(mu_);
  std::map<uint64_t, size_t> ahead_ ABSL_GUARDED_BY(mu_);  // bytes that AdmitAhead() gave
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SPILL_ORDERED_WRITER_H_
