#include "apps/repl/write_queue.h"

#include <utility>

#include "absl/time/clock.h"

namespace kvarts {
namespace {

constexpr size_t kMaxKeys = 10000;
constexpr size_t kMaxBytes = 16 << 20;
// A group that is full goes out while the next one gathers.
constexpr size_t kGroupKeys = 1000;
constexpr size_t kGroupBytes = 1 << 20;

}  // namespace

WriteQueue::WriteQueue(Store* store, bool sync, AnswerFunction answer)
    : store_(store), sync_(sync), answer_(std::move(answer)) {}

WriteQueue::~WriteQueue() { Wait(); }

void WriteQueue::Put(uint64_t line, std::string key, std::string value) {
  Group* const group = GroupFor(false);
  const size_t bytes = key.size() + value.size();
  group->lines.push_back({line, absl::Now(), {}});
  group->lines.back().keys.push_back(std::move(key));
  group->values.push_back(std::move(value));
  group->batch.Put(group->lines.back().keys[0], group->values.back());
  Added(1, bytes);
}

void WriteQueue::Delete(uint64_t line, std::vector<std::string> keys) {
  Group* const group = GroupFor(true);
  group->lines.push_back({line, absl::Now(), std::move(keys)});
  size_t bytes = 0;
  for (const std::string& key : group->lines.back().keys) {
    group->batch.Delete(key);
    bytes += key.size();
  }
  Added(group->lines.back().keys.size(), bytes);
}

void WriteQueue::Wait() {
  Send();
  while (!sent_.empty()) AnswerOldest();
}

WriteQueue::Group* WriteQueue::GroupFor(bool deletes) {
  if (gathering_ != nullptr && gathering_->deletes != deletes) Send();
  if (gathering_ == nullptr) {
    gathering_ = std::make_unique<Group>();
    gathering_->deletes = deletes;
  }
  return gathering_.get();
}

void WriteQueue::Added(size_t keys, size_t bytes) {
  gathering_->keys += keys;
  gathering_->bytes += bytes;
  keys_ += keys;
  bytes_ += bytes;
  if (gathering_->keys >= kGroupKeys || gathering_->bytes >= kGroupBytes) Send();
  while ((keys_ > kMaxKeys || bytes_ > kMaxBytes) && !sent_.empty()) AnswerOldest();
}

void WriteQueue::Send() {
  if (gathering_ == nullptr) return;
  sent_.push_back(std::move(gathering_));
  Group* const group = sent_.back().get();
  WriteOptions options;
  options.sync = sync_;
  // Whether a put replaced something is not shown, and may cost a read.
  options.report_existed = group->deletes;
  store_->Submit(group->batch, options, &group->results, [this, group](absl::Status status) {
    MutexLock lock(&mu_);
    group->status = std::move(status);
    group->done = true;
    done_.Signal();
  });
}

void WriteQueue::AnswerOldest() {
  const std::unique_ptr<Group> group = std::move(sent_.front());
  sent_.pop_front();
  {
    MutexLock lock(&mu_);
    while (!group->done) done_.Wait(&mu_);
  }
  // A store that failed as a whole may have said so only once.
  std::vector<WriteResult>& results = group->results.results;
  if (results.size() != group->keys) {
    results.assign(group->keys, WriteResult());
    for (WriteResult& result : results) result.status = group->status;
  }
  keys_ -= group->keys;
  bytes_ -= group->bytes;
  size_t next = 0;
  for (const Line& line : group->lines) {
    answer_({line.number, group->deletes, absl::Now() - line.added, line.keys,
             absl::MakeConstSpan(results).subspan(next, line.keys.size())});
    next += line.keys.size();
  }
}

}  // namespace kvarts
