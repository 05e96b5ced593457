#include "cluster/node/sim/sim_clients.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/slot_status.h"

namespace kvarts {
namespace cluster {
namespace {

using Kind = HistoryOperation::Kind;

constexpr absl::Duration kAnswerTimeout = absl::Milliseconds(1500);
constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr int kMostConflicts = 5;

// What a write borrows.
struct Request {
  std::string key;
  std::string value;
  WriteBatch batch;
  WriteResults results;
};

}  // namespace

struct SimClients::Call {
  int client = 0;
  Kind kind = Kind::kRead;
  std::string key;
  std::string value;
  size_t number = 0;  // in the history
  absl::Duration give_up_at;
  int attempt = 0;  // the one that is waited for; 0: it has ended
  int next_attempt = 0;
  int conflicts = 0;
  // Of an increment whose read was answered.
  bool is_writing = false;
  Stamp stamp;
  int place = -1;
};

SimClients::SimClients(SimCluster* cluster, const SimClientOptions& options)
    : cluster_(cluster), world_(cluster->world()), options_(options) {
  for (int i = 0; i < options.hot_keys; ++i) hot_.push_back(absl::StrCat("hot-", i));
  for (int i = 0; i < options.counters; ++i) counters_.push_back(absl::StrCat("count-", i));
  for (int i = 0; i < options.cold_keys; ++i) cold_.push_back(absl::StrCat("cold-", i));
  to_put_ = cold_;
  guess_.fill(-1);
}

void SimClients::Start() {
  left_ = options_.operations;
  busy_ = options_.clients;
  for (int i = 0; i < options_.clients; ++i) Next(i);
}

void SimClients::ReadAll() {
  for (const auto* keys : {&hot_, &counters_, &cold_}) {
    to_read_.insert(to_read_.end(), keys->begin(), keys->end());
  }
  busy_ = options_.clients;
  for (int i = 0; i < options_.clients; ++i) Next(i);
}

std::vector<HistoryOperation> SimClients::HistoryWithout(const std::bitset<kSlots>& slots) const {
  std::vector<HistoryOperation> operations = history_.operations();
  operations.erase(std::remove_if(operations.begin(), operations.end(),
                                  [&](const HistoryOperation& o) { return slots[KeySlot(o.key)]; }),
                   operations.end());
  return operations;
}

size_t SimClients::Lose(const std::bitset<kSlots>& slots) {
  Loss loss;
  for (const auto* keys : {&hot_, &counters_, &cold_}) {
    for (const std::string& key : *keys) {
      const uint16_t slot = KeySlot(key);
      if (!slots[slot]) continue;
      HistoryOperation operation;
      operation.kind = Kind::kDelete;
      operation.client = -1;
      operation.key = key;
      loss.deletions.emplace_back(slot, history_.Call(operation, world_->Now()));
    }
  }
  losses_.push_back(std::move(loss));
  return losses_.size() - 1;
}

void SimClients::Lost(size_t number, int64_t revision) {
  Loss& loss = losses_[number];
  loss.revision = revision;
  if (revision != 0) return;
  for (const auto& deletion : loss.deletions) history_.Failed(deletion.second, world_->Now());
  loss.deletions.clear();
}

void SimClients::Look() {
  for (Loss& loss : losses_) {
    if (loss.revision == 0 || loss.deletions.empty()) continue;
    const ClusterTable& table = cluster_->Table();
    if (table.revision < loss.revision) continue;
    const auto is_served = [&](uint16_t slot) {
      const std::vector<int> running = cluster_->Running();
      return std::any_of(running.begin(), running.end(), [&](int place) {
        const auto life = cluster_->life(place);
        return life->store->slots()->Serves(slot) && table.FindNumber(life->incarnation) != 0 &&
               table.FindNumber(life->incarnation) == table.slots[slot].primary;
      });
    };
    loss.deletions.erase(std::remove_if(loss.deletions.begin(), loss.deletions.end(),
                                        [&](const auto& deletion) {
                                          if (!is_served(deletion.first)) return false;
                                          history_.Ok(deletion.second, world_->Now());
                                          return true;
                                        }),
                         loss.deletions.end());
  }
}

void SimClients::Next(int client) {
  BenchRandom* const random = world_->random();
  if (!to_put_.empty()) {
    const std::string key = std::move(to_put_.back());
    to_put_.pop_back();
    return Begin(client, Kind::kPut, key);
  }
  if (left_ > 0) {
    --left_;
    const uint64_t dice = random->Below(100);
    const auto one_of = [random](const std::vector<std::string>& keys) {
      return keys[random->Below(keys.size())];
    };
    Kind kind = Kind::kRead;
    std::string key;
    if (dice < 35) {
      key = one_of(counters_);
      if (dice < 22) kind = Kind::kIncrement;
      if (dice == 34) kind = Kind::kDelete;
    } else {
      key = dice < 85 ? one_of(hot_) : one_of(cold_);
      const uint64_t what = random->Below(10);
      if (what < 4) kind = Kind::kPut;
      if (what == 4) kind = Kind::kDelete;
    }
    world_->After(world_->Between(absl::ZeroDuration(), options_.most_pause),
                  [this, client, kind, key] { Begin(client, kind, key); });
    return;
  }
  if (!to_read_.empty()) {
    const std::string key = std::move(to_read_.back());
    to_read_.pop_back();
    return Begin(client, Kind::kRead, key);
  }
  --busy_;
}

void SimClients::Begin(int client, Kind kind, const std::string& key) {
  const auto call = std::make_shared<Call>();
  call->client = client;
  call->kind = kind;
  call->key = key;
  call->give_up_at = world_->Now() + kPatience;
  HistoryOperation operation;
  operation.kind = kind;
  operation.client = client;
  operation.key = key;
  if (kind == Kind::kPut) {
    call->value = absl::StrCat("v", ++next_value_);
    operation.value = call->value;
  }
  if (kind == Kind::kIncrement) operation.delta = 1;
  call->number = history_.Call(operation, world_->Now());
  Attempt(call);
}

int SimClients::Choose(uint16_t slot) {
  const int guess = guess_[slot];
  if (guess >= 0 && cluster_->life(guess) != nullptr) return guess;
  const std::vector<int> running = cluster_->Running();
  return running.empty() ? -1 : running[world_->random()->Below(running.size())];
}

void SimClients::Attempt(const std::shared_ptr<Call>& call) {
  const int place = Choose(KeySlot(call->key));
  if (place < 0) return TryAgain(call, absl::Milliseconds(20));
  call->place = place;
  const int attempt = call->attempt = ++call->next_attempt;
  world_->After(kAnswerTimeout, [this, call, attempt] {
    if (call->attempt != attempt) return;
    // What was read has changed nothing, whenever it is carried out.
    guess_[KeySlot(call->key)] = -1;
    const bool is_read =
        call->kind == Kind::kRead || (call->kind == Kind::kIncrement && !call->is_writing);
    if (is_read) {
      history_.Failed(call->number, world_->Now());
    } else {
      history_.MayHaveHappened(call->number, world_->Now());
    }
    End(call);
  });
  if (world_->Chance(options_.loss)) return;
  world_->After(world_->Between(absl::Microseconds(30), absl::Microseconds(200)), [this, call,
                                                                                   attempt, place] {
    const std::shared_ptr<SimCluster::Life> life = cluster_->life(place);
    if (life == nullptr) {
      return Answered(call, attempt, absl::UnavailableError("nobody is there"), {}, {}, false);
    }
    life->loop->Post([this, call, attempt, life] { Execute(call, life, attempt); });
  });
}

void SimClients::Execute(const std::shared_ptr<Call>& call,
                         const std::shared_ptr<SimCluster::Life>& life, int attempt) {
  NodeStore* const store = life->store.get();
  const bool is_increment = call->kind == Kind::kIncrement;
  if (call->kind == Kind::kRead || (is_increment && !call->is_writing)) {
    ReadOptions options;
    options.no_wait = true;
    options.stamp = is_increment;
    ReadResults results;
    const absl::string_view key = call->key;
    store->MultiGet(absl::MakeConstSpan(&key, 1), options, &results);
    const ReadResult& result = results[0];
    std::optional<std::string> value;
    if (result.status.ok() && result.found) value = std::string(result.value);
    return Answer(call, life.get(), attempt, result.status, std::move(value), result.stamp, false);
  }
  const auto request = std::make_shared<Request>();
  request->key = call->key;
  request->value = call->value;
  WriteOptions options;
  if (call->kind == Kind::kDelete) {
    request->batch.Delete(request->key);
    options.report_existed = true;
  } else {
    request->batch.Put(request->key, request->value);
  }
  if (is_increment) {
    request->batch.RequireUnchanged(request->key, call->stamp);
    options.atomic = true;
  }
  store->Submit(request->batch, options, &request->results,
                [this, call, attempt, request,
                 weak = std::weak_ptr<SimCluster::Life>(life)](absl::Status status) {
                  const std::shared_ptr<SimCluster::Life> here = weak.lock();
                  if (here == nullptr || here->process->crashed()) return;
                  const bool existed = status.ok() && !request->results.results.empty() &&
                                       request->results.results[0].existed;
                  Answer(call, here.get(), attempt, std::move(status), {}, {}, existed);
                });
}

void SimClients::Answer(const std::shared_ptr<Call>& call, SimCluster::Life* life, int attempt,
                        absl::Status status, std::optional<std::string> value, Stamp stamp,
                        bool existed) {
  if (life->process->crashed()) return;
  if (const std::optional<MovedSlot> moved = MovedTo(status); moved.has_value()) {
    const size_t colon = moved->resp.rfind(':');
    int port = 0;
    if (colon != std::string::npos && absl::SimpleAtoi(moved->resp.substr(colon + 1), &port)) {
      cluster_->CheckMoved(*life, moved->slot, port - 7000);
    }
  }
  if (world_->Chance(options_.loss)) return;
  world_->After(world_->Between(absl::Microseconds(30), absl::Microseconds(200)),
                [this, call, attempt, status = std::move(status), value = std::move(value), stamp,
                 existed] { Answered(call, attempt, status, value, stamp, existed); });
}

void SimClients::Answered(const std::shared_ptr<Call>& call, int attempt,
                          const absl::Status& status, const std::optional<std::string>& value,
                          const Stamp& stamp, bool existed) {
  if (call->attempt != attempt) return;
  call->attempt = 0;
  const absl::Duration now = world_->Now();
  const uint16_t slot = KeySlot(call->key);
  if (const std::optional<MovedSlot> moved = MovedTo(status); moved.has_value()) {
    ++moved_;
    int port = 0;
    const size_t colon = moved->resp.rfind(':');
    if (absl::SimpleAtoi(moved->resp.substr(colon + 1), &port)) {
      guess_[slot] = static_cast<int16_t>(port - 7000);
    }
    return TryAgain(call, absl::ZeroDuration());
  }
  if (absl::IsUnavailable(status)) {
    guess_[slot] = -1;
    return TryAgain(call, world_->Between(absl::Milliseconds(2), absl::Milliseconds(40)));
  }
  if (call->kind == Kind::kIncrement && absl::IsFailedPrecondition(status)) {
    call->is_writing = false;
    if (++call->conflicts > kMostConflicts) {
      history_.Failed(call->number, now);
      return End(call);
    }
    return TryAgain(call, absl::ZeroDuration());
  }
  if (!status.ok()) {
    cluster_->Violated(absl::StrCat("a client is told ", status.ToString()));
    history_.MayHaveHappened(call->number, now);
    return End(call);
  }
  ++answered_;
  guess_[slot] = static_cast<int16_t>(call->place);
  switch (call->kind) {
    case Kind::kIncrement: {
      if (call->is_writing) {
        history_.Ok(call->number, now, call->value);
        break;
      }
      int64_t before = 0;
      if (value.has_value() && !absl::SimpleAtoi(*value, &before)) {
        cluster_->Violated(absl::StrCat("a counter is \"", *value, "\""));
      }
      call->value = absl::StrCat(before + 1);
      call->stamp = stamp;
      call->is_writing = true;
      // Some think long enough for the slot to move meanwhile.
      return TryAgain(call, world_->Chance(0.3)
                                ? world_->Between(absl::ZeroDuration(), absl::Seconds(2))
                                : absl::ZeroDuration());
    }
    case Kind::kRead:
      history_.Ok(call->number, now,
                  value.has_value() ? absl::optional<std::string>(*value) : absl::nullopt);
      break;
    case Kind::kDelete:
      history_.Done(call->number, now, existed);
      break;
    default:
      history_.Ok(call->number, now);
  }
  End(call);
}

void SimClients::TryAgain(const std::shared_ptr<Call>& call, absl::Duration pause) {
  if (world_->Now() + pause > call->give_up_at) {
    history_.Failed(call->number, world_->Now());
    return End(call);
  }
  world_->After(pause, [this, call] { Attempt(call); });
}

void SimClients::End(const std::shared_ptr<Call>& call) {
  call->attempt = 0;
  Next(call->client);
}

}  // namespace cluster
}  // namespace kvarts
