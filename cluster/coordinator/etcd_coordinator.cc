// Keys below NAME/:
//   table/X   the value X
//   probe     what reads write: a transaction that writes goes through the log of the cluster, and
//             so reads what is newest. One that only reads can be stale before 3.4.42, 3.5.28 and
//             3.6.9 (etcd-io/etcd#20418).
//   txn/ME    the id of the last transaction of this client, written by it; ME is random.
//
// How a transaction's outcome is known:
// (1) It also compares the revision of txn/ME with what it was, and writes its id there.
// (2) Where no answer tells what became of it, another transaction looks if txn/ME has that id.
//     Then it was done, at the revision of txn/ME.
// (3) Else that same transaction writes txn/ME. By (1) the first one cannot be done any more,
//     wherever it is: it was not and will not be done, and may be tried again.
// (4) Where that has no answer either, it is asked again: (2) and (3) may be done any number of
//     times.

#include "cluster/coordinator/etcd_coordinator.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <random>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cluster/coordinator/apply_transaction.h"
#include "cluster/coordinator/etcd_client.h"
#include "cluster/coordinator/etcd_json.h"

namespace kvarts {
namespace {

constexpr char kTxn[] = "/v3/kv/txn";
constexpr absl::Duration kEndpointPatience = absl::Seconds(1);
constexpr absl::Duration kRoundPause = absl::Milliseconds(50);
constexpr absl::Duration kWatchPause = absl::Milliseconds(200);
constexpr absl::Duration kHintInterval = absl::Seconds(2);
constexpr absl::Duration kCompactTimeout = absl::Seconds(1);
// Of names and values; with what stands around them it is below etcd's limit of 1.5 MiB, for which
// it has different errors.
constexpr size_t kMaxBytes = 1'500'000;
// Own writes, or bytes of them, after which history is discarded.
constexpr int kCompactWrites = 200;
constexpr size_t kCompactBytes = 1 << 20;

std::string Put(absl::string_view key, absl::string_view value) {
  return absl::StrCat("{\"requestPut\":{\"key\":", EtcdBytes(key), ",\"value\":", EtcdBytes(value),
                      "}}");
}
std::string Get(absl::string_view key) {
  return absl::StrCat("{\"requestRange\":{\"key\":", EtcdBytes(key), "}}");
}
std::string Delete(absl::string_view key) {
  return absl::StrCat("{\"requestDeleteRange\":{\"key\":", EtcdBytes(key), "}}");
}
// "key" and "range_end" for all that begins with `prefix`, whose last byte is not FF.
std::string Prefix(const std::string& prefix) {
  std::string end = prefix;
  ++end.back();
  return absl::StrCat("\"key\":", EtcdBytes(prefix), ",\"rangeEnd\":", EtcdBytes(end));
}
std::string HasRevision(absl::string_view key, int64_t revision) {
  return absl::StrCat("{\"target\":\"MOD\",\"result\":\"EQUAL\",\"key\":", EtcdBytes(key),
                      ",\"modRevision\":\"", revision, "\"}");
}
std::string HasValue(absl::string_view key, absl::string_view value) {
  return absl::StrCat("{\"target\":\"VALUE\",\"result\":\"EQUAL\",\"key\":", EtcdBytes(key),
                      ",\"value\":", EtcdBytes(value), "}");
}
std::string Txn(absl::string_view compares, absl::string_view then, absl::string_view otherwise) {
  return absl::StrCat("{\"compare\":[", compares, "],\"success\":[", then, "],\"failure\":[",
                      otherwise, "]}");
}

absl::Status Check(const Coordinator::Transaction& transaction) {
  if (absl::Status valid = CheckTransaction(transaction); !valid.ok()) return valid;
  size_t bytes = 0;
  for (const auto& compare : transaction.compares) bytes += compare.name.size();
  for (const auto& change : transaction.changes) {
    bytes += change.name.size() + change.bytes.value_or("").size();
  }
  if (bytes <= kMaxBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a transaction of ", bytes, " bytes; etcd takes ", kMaxBytes));
}

int64_t RevisionOf(const EtcdJson& answer) { return answer["header"]["revision"].AsInt(); }

class EtcdCoordinator final : public Coordinator {
 public:
  EtcdCoordinator(EventLoop* loop, Transport* transport, EtcdCoordinatorOptions options)
      : own_transport_(std::move(options.own_transport)),
        loop_(loop),
        table_(options.name + "/table/"),
        probe_(options.name + "/probe"),
        me_(absl::StrFormat("%016x%08x", random_(), static_cast<uint32_t>(random_()))),
        txn_(absl::StrCat(options.name, "/txn/", me_)),
        client_(loop, transport,
                {std::move(options.endpoints), std::move(options.user), std::move(options.password),
                 own_transport_ == nullptr}) {}

  ~EtcdCoordinator() override {
    // Destroyed when all has left this: a callback's end may do anything.
    const auto reads = std::move(reads_);
    const auto commits = std::move(commits_);
    reads_.clear();
    commits_.clear();
  }

  void Read(absl::Duration timeout, ReadDone done) override {
    reads_.emplace_back();
    const auto it = std::prev(reads_.end());
    it->deadline = loop_->Now() + timeout;
    it->timer = loop_->NewTimer();
    it->done = std::move(done);
    TryRead(it);
  }

  void Commit(Transaction transaction, absl::Duration timeout, CommitDone done) override {
    auto call = std::make_unique<CommitCall>();
    CommitCall* const raw = call.get();
    call->deadline = loop_->Now() + timeout;
    call->timer = loop_->NewTimer();
    call->id = absl::StrCat(me_, "/", ++next_id_);
    call->done = std::move(done);
    if (const absl::Status valid = Check(transaction); !valid.ok()) {
      call->timer->Start(absl::ZeroDuration(), [this, raw, valid] { FailCommit(raw, valid); });
      invalid_.push_back(std::move(call));
      return;
    }
    call->transaction = std::move(transaction);
    commits_.push_back(std::move(call));
    if (commits_.size() == 1) return TryCommit();
    raw->timer->Start(timeout, [this, raw] {
      FailCommit(raw, absl::UnavailableError("earlier transactions took all of the time"));
    });
  }

  void Watch(absl::AnyInvocable<void()> changed) override {
    changed_ = std::move(changed);
    hint_timer_ = loop_->NewTimer();
    watch_timer_ = loop_->NewTimer();
    HintLater();
    WatchNow();
  }

 private:
  struct Retries {
    absl::Duration deadline;
    std::unique_ptr<Timer> timer;
    size_t failures = 0;
    absl::Status why;  // what the last try that was told anything was told
  };
  struct ReadCall : Retries {
    ReadDone done;
  };
  struct CommitCall : Retries {
    Transaction transaction;
    std::string id;
    bool sent = false;  // and it is not known what became of it
    size_t bytes = 0;
    CommitDone done;
  };
  using ReadIterator = std::list<ReadCall>::iterator;

  // For one try: so that, also of a short time, some is left for the next endpoint.
  absl::Duration Patience(const Retries& call) const {
    const absl::Duration left = call.deadline - loop_->Now();
    return std::min({kEndpointPatience, left, std::max(left / 3, absl::Milliseconds(20))});
  }

  // False: another try would end the same, or its time is up, and `why` says why it failed. Runs
  // `again` later; pauses once all endpoints have failed.
  template <typename Again>
  bool TryLater(Retries* call, const EtcdClient::Answer& answer, Again again) {
    if (answer.is_final || !answer.is_silence || call->why.ok()) call->why = answer.status;
    if (answer.is_final) return false;
    ++call->failures;
    const absl::Duration pause =
        call->failures % client_.endpoints() == 0 ? kRoundPause : absl::ZeroDuration();
    if (loop_->Now() + pause >= call->deadline) return false;
    call->timer->Start(pause, std::move(again));
    return true;
  }

  void TryRead(ReadIterator call) {
    client_.Call(
        kTxn,
        Txn("", absl::StrCat(Put(probe_, ""), ",{\"requestRange\":{", Prefix(table_), "}}"), ""),
        Patience(*call), [this, call](const EtcdClient::Answer& answer) { OnRead(call, answer); });
  }

  void OnRead(ReadIterator call, const EtcdClient::Answer& answer) {
    if (!answer.status.ok() && TryLater(&*call, answer, [this, call] { TryRead(call); })) return;
    std::list<ReadCall> ended;
    ended.splice(ended.begin(), reads_, call);
    if (!answer.status.ok()) return call->done(call->why);
    Contents contents;
    contents.revision = RevisionOf(answer.body);
    for (const EtcdJson& entry : answer.body["responses"].At(1)["response_range"]["kvs"].items) {
      const std::string key = entry["key"].AsBytes();
      if (!absl::StartsWith(key, table_)) continue;
      contents.values[key.substr(table_.size())] = {entry["value"].AsBytes(),
                                                    entry["mod_revision"].AsInt()};
    }
    Wrote(contents.revision, 0);
    call->done(std::move(contents));
  }

  // The first of those that wait. One at a time: txn/ME has the id of one.
  void TryCommit() {
    CommitCall* const call = commits_.front().get();
    if (!txn_revision_.has_value()) return Resolve();
    std::string compares = HasRevision(txn_, *txn_revision_);
    for (const Transaction::Compare& compare : call->transaction.compares) {
      absl::StrAppend(&compares, ",", HasRevision(table_ + compare.name, compare.revision));
    }
    std::string changes = Put(txn_, call->id);
    for (const Transaction::Change& change : call->transaction.changes) {
      absl::StrAppend(&changes, ",",
                      change.bytes.has_value() ? Put(table_ + change.name, *change.bytes)
                                               : Delete(table_ + change.name));
    }
    std::string body = Txn(compares, changes, Get(txn_));
    call->bytes = body.size();
    client_.Call(kTxn, std::move(body), Patience(*call),
                 [this](const EtcdClient::Answer& answer) { OnCommit(answer); });
  }

  void OnCommit(const EtcdClient::Answer& answer) {
    CommitCall* const call = commits_.front().get();
    if (!answer.status.ok()) {
      if (answer.may_be_done) {
        call->sent = true;
        txn_revision_.reset();
      }
      return CommitLater(answer);
    }
    if (answer.body["succeeded"].AsBool()) return Done(RevisionOf(answer.body));
    const EtcdJson& last = answer.body["responses"].At(0)["response_range"]["kvs"].At(0);
    // Somebody on the way has sent it twice.
    if (last["value"].AsBytes() == call->id) return Done(last["mod_revision"].AsInt());
    // A transaction before this one, whose outcome was not found out, was done meanwhile.
    if (last["mod_revision"].AsInt() != *txn_revision_) {
      txn_revision_.reset();
      return Resolve();
    }
    FinishCommit(Outcome());
  }

  // Steps (2) and (3).
  void Resolve() {
    CommitCall* const call = commits_.front().get();
    client_.Call(kTxn, Txn(HasValue(txn_, call->id), Get(txn_), Put(txn_, "")), Patience(*call),
                 [this](const EtcdClient::Answer& answer) { OnResolved(answer); });
  }

  void OnResolved(const EtcdClient::Answer& answer) {
    if (!answer.status.ok()) return CommitLater(answer);
    if (answer.body["succeeded"].AsBool()) {
      const EtcdJson& last = answer.body["responses"].At(0)["response_range"]["kvs"].At(0);
      return Done(last["mod_revision"].AsInt());
    }
    commits_.front()->sent = false;
    txn_revision_ = RevisionOf(answer.body);
    TryCommit();
  }

  void CommitLater(const EtcdClient::Answer& answer) {
    CommitCall* const call = commits_.front().get();
    if (TryLater(call, answer, [this] { TryCommit(); })) return;
    FinishCommit(call->sent ? absl::DeadlineExceededError(call->why.message()) : call->why);
  }

  void Done(int64_t revision) {
    txn_revision_ = revision;
    Wrote(revision, commits_.front()->bytes);
    FinishCommit(Outcome{true, revision});
  }

  void FinishCommit(absl::StatusOr<Outcome> outcome) {
    const std::unique_ptr<CommitCall> call = std::move(commits_.front());
    commits_.pop_front();
    if (!commits_.empty()) {
      commits_.front()->timer->Start(absl::ZeroDuration(), [this] { TryCommit(); });
    }
    call->done(std::move(outcome));
  }

  // Of one that was not begun.
  void FailCommit(const CommitCall* call, const absl::Status& status) {
    for (std::deque<std::unique_ptr<CommitCall>>* calls : {&invalid_, &commits_}) {
      const auto it = std::find_if(calls->begin(), calls->end(),
                                   [&](const auto& one) { return one.get() == call; });
      if (it == calls->end()) continue;
      const std::unique_ptr<CommitCall> ended = std::move(*it);
      calls->erase(it);
      return ended->done(status);
    }
  }

  // Whoever writes discards history: etcd keeps all of it, until its disk quota stops all writes.
  void Wrote(int64_t revision, size_t bytes) {
    newest_ = std::max(newest_, revision);
    ++written_;
    written_bytes_ += bytes;
    if (written_ < kCompactWrites && written_bytes_ < kCompactBytes) return;
    written_ = 0;
    written_bytes_ = 0;
    // Others may have done it up to here or beyond: an error is nothing to us.
    client_.Call("/v3/kv/compaction", absl::StrCat("{\"revision\":\"", newest_, "\"}"),
                 kCompactTimeout, [](const EtcdClient::Answer&) {});
  }

  // Watches lose events, and members that hang send none: a hint comes in any case.
  void HintLater() {
    const double jitter = std::uniform_real_distribution<double>(0.9, 1.1)(random_);
    hint_timer_->Start(kHintInterval * jitter, [this] {
      HintLater();
      changed_();
    });
  }

  void WatchNow() {
    client_.Watch(
        absl::StrCat("{\"create_request\":{", Prefix(table_), "}}"), [this] { changed_(); },
        [this] { watch_timer_->Start(kWatchPause, [this] { WatchNow(); }); });
  }

  const std::shared_ptr<Transport> own_transport_;  // null, mostly; the last to go
  EventLoop* const loop_;
  std::random_device seed_;
  std::mt19937_64 random_{(uint64_t{seed_()} << 32) | seed_()};
  const std::string table_;
  const std::string probe_;
  const std::string me_;
  const std::string txn_;

  std::list<ReadCall> reads_;
  std::deque<std::unique_ptr<CommitCall>> commits_;  // the first is under way
  std::deque<std::unique_ptr<CommitCall>> invalid_;  // will be told so
  uint64_t next_id_ = 0;
  // Of txn/ME, as step (1) compares it; nothing: not known.
  std::optional<int64_t> txn_revision_ = 0;

  int64_t newest_ = 0;
  int written_ = 0;
  size_t written_bytes_ = 0;

  absl::AnyInvocable<void()> changed_;
  std::unique_ptr<Timer> hint_timer_;
  std::unique_ptr<Timer> watch_timer_;
  EtcdClient client_;  // the first to end: its callbacks use what is above
};

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> NewEtcdCoordinator(EventLoop* loop,
                                                                Transport* transport,
                                                                EtcdCoordinatorOptions options) {
  if (options.endpoints.empty()) return absl::InvalidArgumentError("etcd without an endpoint");
  if (options.name.empty()) {
    return absl::InvalidArgumentError("etcd without a name for the cluster's keys");
  }
  return std::make_unique<EtcdCoordinator>(loop, transport, std::move(options));
}

}  // namespace kvarts
