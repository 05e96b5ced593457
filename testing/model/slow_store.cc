#include "testing/model/slow_store.h"

#include <algorithm>
#include <utility>

#include "gtest/gtest.h"

namespace kvarts {

SlowStore::SlowStore(std::unique_ptr<Store> under, SlowStoreOptions options)
    : ForwardingStore(std::move(under)), options_(std::move(options)) {
  if (options_.by_itself) thread_ = std::thread([this] { Work(); });
}

SlowStore::~SlowStore() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
  Commit();
}

void SlowStore::Work() {
  while (true) {
    {
      MutexLock lock(&mu_);
      while (queue_.empty() && !stopping_) changed_.Wait(&mu_);
      if (stopping_) return;
    }
    Commit();
  }
}

size_t SlowStore::Commit() {
  std::vector<Submitted> group;
  std::vector<absl::Status> statuses;
  {
    MutexLock order(&order_mu_);
    {
      MutexLock lock(&mu_);
      group.swap(queue_);
    }
    for (const Submitted& submitted : group) statuses.push_back(Apply(submitted));
  }
  for (size_t i = 0; i < group.size(); ++i) group[i].done(statuses[i]);
  return group.size();
}

absl::Status SlowStore::Apply(const Submitted& submitted) {
  std::string failing;
  absl::Status failure;
  {
    MutexLock lock(&mu_);
    failing = failing_;
    failure = failure_;
  }
  const auto mutations = submitted.batch->mutations();
  const bool fails =
      !failure.ok() && std::any_of(mutations.begin(), mutations.end(),
                                   [&](const Mutation& m) { return m.key == failing; });
  if (fails) return FailWrite(*submitted.batch, failure, submitted.results);
  return under().Write(*submitted.batch, submitted.options, submitted.results);
}

size_t SlowStore::submitted() const {
  MutexLock lock(&mu_);
  return queue_.size();
}

void SlowStore::AwaitSubmitted(size_t n) const {
  MutexLock lock(&mu_);
  while (queue_.size() < n) changed_.Wait(&mu_);
}

void SlowStore::MakeCold(absl::string_view key) {
  MutexLock lock(&mu_);
  cold_.emplace(key);
}

void SlowStore::FailWritesOf(absl::string_view key, const absl::Status& status) {
  MutexLock lock(&mu_);
  failing_ = std::string(key);
  failure_ = status;
}

void SlowStore::NoteLoop() {
  if (!options_.forbids_waiting || options_.on_loop) return;
  MutexLock lock(&mu_);
  loops_.insert(std::this_thread::get_id());
}

void SlowStore::NoteWait(std::atomic<int>* count) {
  ++*count;
  if (!options_.forbids_waiting) return;
  if (options_.on_loop) {
    EXPECT_FALSE(options_.on_loop()) << "a call that may wait came on a loop";
    return;
  }
  MutexLock lock(&mu_);
  EXPECT_EQ(loops_.count(std::this_thread::get_id()), 0U)
      << "a call that may wait came from a thread that must not";
}

bool SlowStore::IsCold(absl::string_view key) {
  if (options_.by_itself) {
    return no_wait_reads_.fetch_add(1, std::memory_order_relaxed) % 3 == 2;
  }
  MutexLock lock(&mu_);
  return cold_.count(key) > 0;
}

Capabilities SlowStore::capabilities() const {
  Capabilities has = under().capabilities();
  has.may_block = has.no_wait = true;
  return has;
}

void SlowStore::MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                         ReadResults* results) {
  options.no_wait ? NoteLoop() : NoteWait(&waiting_reads);
  under().MultiGet(keys, options, results);
  if (!options.no_wait) return;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!IsCold(keys[i]) || !(*results)[i].status.ok()) continue;
    results->mutable_result(i) = ReadResult();
    results->mutable_result(i).status = absl::UnavailableError("it is on the disk");
  }
}

void SlowStore::Read(absl::string_view key, const ReadOptions& options, ReadResults* results) {
  SlowStore::MultiGet({&key, 1}, options, results);
}

// What was submitted before it comes before it.
absl::Status SlowStore::Write(const WriteBatch& batch, const WriteOptions& options,
                              WriteResults* results) {
  NoteWait(&waiting_calls);
  Commit();
  MutexLock order(&order_mu_);
  return Apply({&batch, options, results, nullptr});
}

void SlowStore::Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
                       WriteDone done) {
  NoteLoop();
  MutexLock lock(&mu_);
  queue_.push_back({&batch, options, results, std::move(done)});
  changed_.SignalAll();
}

absl::Status SlowStore::Modify(absl::string_view key, const WriteOptions& options,
                               Modifier function) {
  NoteWait(&waiting_calls);
  Commit();
  MutexLock order(&order_mu_);
  return under().Modify(key, options, function);
}

absl::StatusOr<std::unique_ptr<Cursor>> SlowStore::NewCursor(const ScanOptions& options) {
  NoteWait(&waiting_calls);
  return under().NewCursor(options);
}

absl::StatusOr<std::shared_ptr<const Snapshot>> SlowStore::GetSnapshot() {
  NoteWait(&waiting_calls);
  return under().GetSnapshot();
}

absl::StatusOr<StoreStats> SlowStore::Stats() {
  NoteWait(&waiting_calls);
  return under().Stats();
}

absl::Status SlowStore::Sync() {
  NoteWait(&waiting_calls);
  Commit();
  return under().Sync();
}

absl::Status SlowStore::Close() {
  Commit();
  return under().Close();
}

}  // namespace kvarts
