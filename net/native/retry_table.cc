#include "net/native/retry_table.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/coding.h"

namespace kvarts {
namespace native {
namespace {

std::string NewIncarnation() {
  std::random_device random;
  std::string bytes;
  AppendLE32(&bytes, random());
  AppendLE32(&bytes, random());
  return bytes;
}

}  // namespace

RetryClient::Verdict RetryClient::Begin(uint64_t sequence, uint64_t first_unacknowledged,
                                        Waiter waiter, std::string* answer) {
  MutexLock lock(&mu_);
  floor_ = std::max(floor_, first_unacknowledged);
  for (auto it = entries_.begin(); it != entries_.end() && it->first < first_unacknowledged;) {
    const auto entry = it++;
    if (entry->second.answered) Forget(entry);
  }
  const auto found = entries_.find(sequence);
  if (found != entries_.end()) {
    if (found->second.answered) {
      *answer = found->second.answer;
      return Verdict::kAnswered;
    }
    found->second.waiters.push_back(std::move(waiter));
    return Verdict::kUnderWay;
  }
  if (sequence < floor_) return Verdict::kForgotten;
  entries_[sequence];
  return Verdict::kApply;
}

void RetryClient::Finish(uint64_t sequence, const std::string& answer) {
  std::vector<Waiter> waiters;
  {
    MutexLock lock(&mu_);
    Entry& entry = entries_[sequence];
    entry.answered = true;
    entry.answer = answer;
    waiters.swap(entry.waiters);
    ++answers_;
    bytes_ += answer.size();
    for (auto it = entries_.begin();
         it != entries_.end() && (answers_ > limits_.answers || bytes_ > limits_.bytes);) {
      const auto oldest = it++;
      if (!oldest->second.answered) continue;
      floor_ = std::max(floor_, oldest->first + 1);
      Forget(oldest);
    }
  }
  for (Waiter& waiter : waiters) waiter(answer);
}

void RetryClient::Undo(uint64_t sequence, const std::string& answer) {
  std::vector<Waiter> waiters;
  {
    MutexLock lock(&mu_);
    const auto found = entries_.find(sequence);
    waiters.swap(found->second.waiters);
    entries_.erase(found);
  }
  for (Waiter& waiter : waiters) waiter(answer);
}

void RetryClient::Forget(std::map<uint64_t, Entry>::iterator entry) {
  --answers_;
  bytes_ -= entry->second.answer.size();
  entries_.erase(entry);
}

RetryTable::RetryTable(size_t max_absent_clients, const RetryClient::Limits& limits)
    : max_absent_clients_(max_absent_clients),
      limits_(limits),
      incarnation_(NewIncarnation()),
      state_(std::make_shared<State>()) {}

std::shared_ptr<RetryClient> RetryTable::Attach(absl::string_view client_id) {
  std::string id(client_id);
  MutexLock lock(&state_->mu);
  Client& client = state_->clients[id];
  if (client.memory == nullptr) {
    std::string session = incarnation_;
    AppendLE64(&session, ++state_->made);
    client.memory = std::make_shared<RetryClient>(std::move(session), limits_);
  } else if (client.connections == 0) {
    state_->absent.erase(client.absent);
  }
  ++client.connections;
  RetryClient* const memory = client.memory.get();
  return std::shared_ptr<RetryClient>(
      memory, [keep = client.memory, state = state_, id = std::move(id),
               max = max_absent_clients_](RetryClient*) { Detach(state.get(), id, max); });
}

void RetryTable::Detach(State* state, const std::string& client_id, size_t max_absent_clients) {
  MutexLock lock(&state->mu);
  const auto found = state->clients.find(client_id);
  if (--found->second.connections > 0) return;
  found->second.absent = state->absent.insert(state->absent.end(), client_id);
  if (state->absent.size() <= max_absent_clients) return;
  state->clients.erase(state->absent.front());
  state->absent.pop_front();
}

}  // namespace native
}  // namespace kvarts
