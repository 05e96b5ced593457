#ifndef KVARTS_NET_SERVER_H_
#define KVARTS_NET_SERVER_H_

#include "base/language.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "net/metrics.h"
#include "net/transport.h"

namespace kvarts {

// On its stream's loop only. One connection's end of a protocol: native, HTTP,
// RESP. Destruction closes the stream at once.
class Session {
 public:
  virtual ~Session() = default;

  // Begins to read. Calls `done` once, when the connection is over; the owner
  // destroys the session then, possibly inside the call: touch nothing behind it.
  virtual void Start(Task done) = 0;
  // Answers the requests it has read, reads no further one, then ends.
  virtual void Drain() = 0;
};

// Makes the session of an accepted stream, on the stream's loop; called on
// several loops at once.
using SessionFactory = std::function<std::unique_ptr<Session>(std::unique_ptr<Stream> stream)>;

struct ServerOptions {
  // Further connections are counted, told `refusal`, and closed.
  int max_clients = 10000;
  // In the protocol's own words, whole; empty: nothing is said. What a refused client has sent
  // is read and thrown away for a moment, because a connection that is closed with bytes unread
  // is reset, and with it what was said. A few are told at a time; more are closed at once.
  std::string refusal;
  // Where connections are counted, if anywhere; must outlive the server's loops.
  ProtocolMetrics* metrics = nullptr;
  ListenOptions listen;
};

// Thread-safe, but not to be called from a loop where it says so. Accepts
// connections at one address and owns their sessions.
class Server {
 public:
  static absl::StatusOr<std::unique_ptr<Server>> Start(Transport* transport,
                                                       absl::Span<EventLoop* const> loops,
                                                       absl::string_view address,
                                                       const ServerOptions& options,
                                                       SessionFactory factory);
  // Closes all at once, and waits for the loops to let go. Not from a loop; the
  // loops must still run.
  virtual ~Server() = default;

  virtual std::string address() const = 0;
  virtual int clients() const = 0;
  // Connections closed because of max_clients, since the start.
  virtual int64_t refused() const = 0;

  // Stops listening and has the sessions drain. Not from a loop.
  virtual void BeginDrain() = 0;
  // The same, where it was not called, and returns when the sessions have ended or
  // `grace` is over; the destructor closes the rest. Not from a loop.
  virtual void Drain(absl::Duration grace) = 0;
};

}  // namespace kvarts

#endif  // KVARTS_NET_SERVER_H_
