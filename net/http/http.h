#ifndef KVARTS_NET_HTTP_HTTP_H_
#define KVARTS_NET_HTTP_HTTP_H_

#include <atomic>
#include <cstddef>
#include <memory>

#include "absl/time/time.h"
#include "base/clock.h"
#include "net/server.h"
#include "net/store_runner.h"

namespace kvarts {

struct HttpOptions {
  // For the head of a request, from its first byte to its last.
  absl::Duration header_timeout = absl::Seconds(10);
  // For each 64 KiB of a body, and for each 1 MiB of an answer.
  absl::Duration transfer_timeout = absl::Seconds(30);
  // Between requests.
  absl::Duration idle_timeout = absl::Seconds(75);
  // After the last answer, for the client to close: closing at once would make
  // its system throw away what it has not read yet.
  absl::Duration linger = absl::Seconds(1);
  // Of waiting answers to pipelined requests; above it no further one is read.
  size_t max_output = 1 << 20;
  // For the Date field.
  const Clock* clock = Clock::Real();
};

// Thread-safe. HTTP/1.1 over a store: see routes.cc for what it answers. Keeps
// connections alive, answers pipelined requests in order, one at a time, and
// values from where the store has them.
class HttpService {
 public:
  explicit HttpService(const HttpOptions& options = {}) : options_(options) {}

  // From now on requests are answered from the runner's store; before, /readyz
  // and what needs a store are 503. `runner` must outlive all sessions, and the
  // service too.
  void SetReady(StoreRunner* runner) { runner_.store(runner, std::memory_order_release); }

  // A SessionFactory. The service must outlive the session.
  std::unique_ptr<Session> NewSession(std::unique_ptr<Stream> stream);

  const HttpOptions& options() const { return options_; }
  StoreRunner* runner() const { return runner_.load(std::memory_order_acquire); }

 private:
  const HttpOptions options_;
  std::atomic<StoreRunner*> runner_{nullptr};
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_HTTP_H_
