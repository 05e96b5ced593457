#ifndef KVARTS_NET_NATIVE_RETRY_TABLE_H_
#define KVARTS_NET_NATIVE_RETRY_TABLE_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"

namespace kvarts {
namespace native {

// Thread-safe. The writes of one client that are under way, and the answers to
// those it may still ask for again: what makes a repeated write happen once.
//
// A write of the client is in one of four states. A sequence that was never seen
// is to be applied; one under way is waited for; one that was answered is
// answered again; one below `floor_`, the client said it will not repeat, or the
// limits pushed it out: it is refused, because it may have been applied.
class RetryClient {
 public:
  struct Limits {
    size_t answers = 4096;
    size_t bytes = 1 << 20;
  };
  // Called once, on any thread, with the answer.
  using Waiter = absl::AnyInvocable<void(const std::string& answer)>;
  enum class Verdict : unsigned char { kApply, kAnswered, kUnderWay, kForgotten };

  RetryClient(std::string session, const Limits& limits)
      : session_(std::move(session)), limits_(limits) {}

  // Names this memory: another one, after a restart or when this was dropped,
  // has another name.
  const std::string& session() const { return session_; }

  // kApply: the caller must call Finish() or Undo() later. kAnswered: `answer`
  // is set. kUnderWay: `waiter` will be called.
  Verdict Begin(uint64_t sequence, uint64_t first_unacknowledged, Waiter waiter,
                std::string* answer);
  // The write was applied, or failed for good.
  void Finish(uint64_t sequence, const std::string& answer);
  // The write was not tried: a repetition is a first time.
  void Undo(uint64_t sequence, const std::string& answer);

 private:
  struct Entry {
    bool answered = false;
    std::string answer;
    std::vector<Waiter> waiters;
  };

  void Forget(std::map<uint64_t, Entry>::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string session_;
  const Limits limits_;

  Mutex mu_;
  std::map<uint64_t, Entry> entries_ ABSL_GUARDED_BY(mu_);
  size_t answers_ ABSL_GUARDED_BY(mu_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t floor_ ABSL_GUARDED_BY(mu_) = 0;
};

// Thread-safe. The clients of a server, over all their connections. Those with a
// connection stay; of the others the ones that left last.
class RetryTable {
 public:
  explicit RetryTable(size_t max_absent_clients = 1024,
                      const RetryClient::Limits& limits = RetryClient::Limits());

  // The client's memory, for as long as the caller holds it at least.
  std::shared_ptr<RetryClient> Attach(absl::string_view client_id);

 private:
  struct Client {
    std::shared_ptr<RetryClient> memory;
    int connections = 0;
    std::list<std::string>::iterator absent;  // where it has no connection
  };
  // Outlives the table where a connection does.
  struct State {
    Mutex mu;
    std::unordered_map<std::string, Client> clients ABSL_GUARDED_BY(mu);
    std::list<std::string> absent ABSL_GUARDED_BY(mu);  // who left first is first
    uint64_t made ABSL_GUARDED_BY(mu) = 0;
  };

  static void Detach(State* state, const std::string& client_id, size_t max_absent_clients);

  const size_t max_absent_clients_;
  const RetryClient::Limits limits_;
  const std::string incarnation_;
  const std::shared_ptr<State> state_;
};

}  // namespace native
}  // namespace kvarts

#endif  // KVARTS_NET_NATIVE_RETRY_TABLE_H_
