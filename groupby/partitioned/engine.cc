#include "groupby/partitioned/engine.h"

#include <sys/mman.h>

#include <algorithm>

#include "absl/numeric/bits.h"
#include "absl/strings/str_cat.h"
#include "base/size.h"
#include "base/status_macros.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kMinPage = 4 << 10;
constexpr size_t kMaxPage = 64 << 10;
constexpr size_t kMinFanout = 16;
constexpr size_t kMaxFanout = 256;

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::New(const GroupingOptions& options) {
  std::unique_ptr<Engine> engine(new Engine(options));
  MemoryBudget* budget = options.budget;
  if (budget == nullptr) {
    engine->own_budget_ = std::make_unique<MemoryBudget>(options.memory_bytes);
    budget = engine->own_budget_.get();
  }
  Engine* const e = engine.get();
  engine->account_ = budget->Open([e](size_t bytes) { return e->Shrink(bytes); });
  const size_t share = budget->fair_share();
  if (share < GroupingOptions::kMinMemory) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a memory budget of ", FormatSize(budget->total()),
                     " has no room for one more group-by, which wants ",
                     FormatSize(GroupingOptions::kMinMemory)));
  }
  // An eighth of the memory is enough for a page of each partition.
  engine->page_bytes_ = std::clamp(absl::bit_floor(share / 2048), kMinPage, kMaxPage);
  const size_t fanout =
      std::clamp(absl::bit_floor(share / 8 / engine->page_bytes_), kMinFanout, kMaxFanout);
  engine->fanout_bits_ = absl::bit_width(fanout) - 1;
  engine->max_row_bytes_ = std::min(Grouping::kMaxRowBytes, share / 16 * 5);
  engine->heavy_bytes_ = std::max(8 * engine->page_bytes_, share / 64);
  KVARTS_ASSIGN_OR_RETURN(engine->pool_,
                          PagePool::New(engine->account_.get(), engine->page_bytes_));
  engine->ready_.store(true, std::memory_order_release);
  return engine;
}

Engine::~Engine() {
  folder_.Remove();
  // Another user of the budget may be within Shrink(), or about to.
  account_->Close();
}

size_t Engine::ahead_bytes() const {
  const size_t share = account_->budget()->fair_share();
  // A row of a heavy key is beside the table, and in two pages while its partition is
  // partitioned.
  const size_t largest = largest_row_.load(std::memory_order_relaxed);
  const size_t first = std::max(leaf_bytes() + largest, 2 * largest + share / 4);
  const size_t rest = share - waiting_text_bytes();
  return rest > first ? rest - first : 0;
}

void Engine::SawRow(size_t bytes) {
  size_t largest = largest_row_.load(std::memory_order_relaxed);
  while (bytes > largest && !largest_row_.compare_exchange_weak(largest, bytes)) {
  }
}

absl::StatusOr<Page> Engine::TakePage(size_t bytes, bool may_ask) {
  Page page;
  page.from_pool = !IsLarge(bytes);
  bytes += SpillFile::kHeaderBytes;
  page.capacity = page.from_pool ? page_bytes_ : (bytes + kMinPage - 1) / kMinPage * kMinPage;
  while (true) {
    if (!ok()) return status();
    if (page.from_pool) {
      page.data = pool_->TryTake();
      if (page.data != nullptr) return page;
    } else if (account_->TryReserve(page.capacity)) {
      break;
    }
    if (!may_ask) return absl::ResourceExhaustedError("the memory budget is full");
    // Several threads may spill at a time, each another partition.
    if (account_->used() + page.capacity >= account_->budget()->fair_share()) {
      if (!page.from_pool && pool_->Trim(page.capacity) > 0) continue;
      KVARTS_ASSIGN_OR_RETURN(const size_t given, SpillSome());
      if (given > 0) continue;
    }
    KVARTS_RETURN_IF_ERROR(account_->Reserve(page.capacity));
    if (!page.from_pool) break;
    page.data = pool_->TakeReserved();
    return page;
  }
  void* const p =
      ::mmap(nullptr, page.capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    account_->Release(page.capacity);
    return absl::ResourceExhaustedError(absl::StrCat("cannot map ", page.capacity, " bytes"));
  }
  page.data = static_cast<char*>(p);
  return page;
}

void Engine::FreePage(Page* page) {
  if (page->data == nullptr) return;
  if (page->from_pool) {
    pool_->Give(page->data);
  } else {
    ::munmap(page->data, page->capacity);
    account_->Release(page->capacity);
  }
  page->data = nullptr;
}

absl::Status Engine::Resize(Buffer* buffer, size_t bytes, bool may_ask) {
  if (buffer->size() >= bytes) return absl::OkStatus();
  if (buffer->Resize(bytes, false).ok()) return absl::OkStatus();
  pool_->Trim(bytes);
  return buffer->Resize(bytes, may_ask);
}

absl::Status Engine::Grow(Buffer* buffer, size_t bytes, bool may_ask) {
  if (buffer->Grow(bytes, false).ok()) return absl::OkStatus();
  pool_->Trim(bytes);
  return buffer->Grow(bytes, may_ask);
}

void Engine::AddSpillable(Spillable* spillable) {
  MutexLock lock(&spillables_mu_);
  spillables_.push_back(spillable);
}

void Engine::RemoveSpillable(Spillable* spillable) {
  MutexLock lock(&spillables_mu_);
  while (spilling_ > 0) spilled_.Wait(&spillables_mu_);
  spillables_.erase(std::find(spillables_.begin(), spillables_.end(), spillable));
}

absl::StatusOr<size_t> Engine::SpillSome() {
  std::vector<Spillable*> spillables;
  {
    MutexLock lock(&spillables_mu_);
    spillables = spillables_;
    ++spilling_;
  }
  absl::StatusOr<size_t> given = size_t{0};
  for (const bool all : {false, true}) {
    for (Spillable* const spillable : spillables) {
      if (!given.ok() || *given > 0) break;
      given = spillable->SpillSome(all);
    }
  }
  // What others are writing may be all there was. Writing waits for no memory.
  if (given.ok() && *given == 0) {
    for (Spillable* const spillable : spillables) {
      if (spillable->AwaitSpills()) given = size_t{1};
    }
  }
  MutexLock lock(&spillables_mu_);
  --spilling_;
  spilled_.SignalAll();
  return given;
}

// A thread that asks for memory must not wait for one that waits for it: the
// spillables pass over what is locked.
size_t Engine::Shrink(size_t bytes) {
  if (!ready_.load(std::memory_order_acquire)) return 0;
  const size_t trimmed = pool_->Trim(bytes);
  if (trimmed >= bytes || !ok()) return trimmed;
  const absl::StatusOr<size_t> given = SpillSome();
  if (!given.ok()) {
    Fail(given.status()).IgnoreError();
    return trimmed;
  }
  return std::max(trimmed + pool_->Trim(bytes - trimmed), std::min<size_t>(*given, 1));
}

absl::Status Engine::status() const {
  MutexLock lock(&mu_);
  return status_;
}

absl::Status Engine::Fail(const absl::Status& status) {
  {
    MutexLock lock(&mu_);
    if (!status_.ok()) return status_;
    status_ = status;
    ok_.store(false, std::memory_order_relaxed);
  }
  if (on_failure_ != nullptr) on_failure_();
  // Threads that are at a file yet meet this error next.
  {
    MutexLock lock(&spillables_mu_);
    for (Spillable* const spillable : spillables_) spillable->AbandonFiles();
  }
  folder_.Remove();
  return status;
}

void Engine::CountLevel(uint64_t level) {
  uint64_t levels = counters_.levels.load(std::memory_order_relaxed);
  while (levels < level && !counters_.levels.compare_exchange_weak(levels, level)) {
  }
}

GroupingStats Engine::stats() const {
  GroupingStats stats;
  const auto get = [](const std::atomic<uint64_t>& n) { return n.load(std::memory_order_relaxed); };
  stats.rows = get(counters_.rows);
  stats.bytes = get(counters_.bytes);
  stats.groups = get(counters_.groups);
  stats.spilled_bytes = get(counters_.spilled_bytes);
  stats.partitions = get(counters_.partitions);
  stats.levels = get(counters_.levels);
  stats.heavy_keys = get(counters_.heavy_keys);
  stats.runs = get(counters_.runs);
  stats.merge_passes = get(counters_.merge_passes);
  stats.comparisons = get(counters_.comparisons);
  stats.probes = get(counters_.probes);
  stats.peak_memory = account_->peak();
  return stats;
}

}  // namespace kvarts::groupby_internal
