#ifndef KVARTS_NET_TRANSPORT_H_
#define KVARTS_NET_TRANSPORT_H_

#include "base/language.h"

#include <cstddef>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "net/event_loop.h"

namespace kvarts {

// Of a stream, for those who look after a server.
struct StreamSocket {
  std::string local;    // this end's address, as peer() has the other's; empty: it has none
  int descriptor = -1;  // -1: none
};

// On its loop's thread only. Two directions of bytes between two ends.
//
// At most one read and one write are under way at a time. Callbacks run on the
// loop, never inside the call that started them, and each exactly once, unless
// the stream is destroyed first: then they are destroyed unrun. A callback may
// destroy the stream.
//
// Errors: kUnavailable where the peer went away (reset, broken pipe),
// kDeadlineExceeded, kCancelled after Close(). After an error, or a deadline,
// the direction is dead: only Close() is left.
class Stream {
 public:
  virtual ~Stream() = default;

  // Reads at least one byte, up to buffer.size(), as soon as some are there.
  // 0 bytes and OK: the peer ended its direction. `buffer` must live until the
  // callback, or the stream's end. Reading is what opens the peer's window:
  // who does not read holds the peer back.
  using ReadCallback = absl::AnyInvocable<void(absl::StatusOr<size_t>)>;
  virtual void Read(absl::Span<char> buffer, absl::Duration timeout, ReadCallback callback) = 0;

  // Writes all of `pieces`, one behind the other, as one. The pieces' bytes must
  // live until the callback, or the stream's end; the span itself need not. OK
  // means handed over, not received.
  using WriteCallback = absl::AnyInvocable<void(absl::Status)>;
  virtual void Write(absl::Span<const absl::string_view> pieces, absl::Duration timeout,
                     WriteCallback callback) = 0;

  // Ends this direction after what was written; the other goes on. Not while a
  // write is under way.
  virtual void CloseWrite() = 0;
  // Ends both at once: what is under way fails with kCancelled. Idempotent.
  virtual void Close() = 0;

  virtual EventLoop* loop() const = 0;
  // For logs and limits: "tcp://127.0.0.1:51234", "unix:", "loopback:".
  virtual std::string peer() const = 0;
  // What it lies on, where that is a socket. Not for input and output.
  virtual StreamSocket socket() const { return {}; }
};

// Destroy it on the first of the loops it listens on, or once the loops have
// stopped: no stream is accepted after that.
class Listener {
 public:
  virtual ~Listener() = default;
  // Where it listens, with the port that was picked: "tcp://127.0.0.1:7700".
  virtual std::string address() const = 0;
};

struct ListenOptions {
  bool reuse_port = false;  // several processes on one TCP port
  int backlog = 1024;
  // Of a TLS transport: what a client that does not speak TLS is told, whole and in the words of
  // the protocol that is served, before it is closed; empty: what TLS says. Others leave it be.
  std::string plain_refusal;
};

// Thread-safe. A way to reach another process, or a part of this one. Addresses
// are "tcp://HOST:PORT" (port 0: any free one; [::1] for IPv6), "unix:PATH",
// "loopback:NAME". A TLS transport is one more of these, around another.
class Transport {
 public:
  virtual ~Transport() = default;

  // Called on `stream->loop()`, which is one of those given to Listen(), in turn.
  using AcceptCallback = absl::AnyInvocable<void(std::unique_ptr<Stream> stream)>;

  // Listens at once: a peer may connect when it returns. `accept` must be safe
  // to call on several loops at once where several are given. Out of
  // descriptors: new connections are closed or wait, the listener goes on.
  // kInvalidArgument for a bad address, kAlreadyExists where it is taken,
  // kPermissionDenied. A Unix socket's file left by a dead process is replaced,
  // one that is answered is not; the listener's end removes it.
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                           absl::string_view address,
                                                           const ListenOptions& options,
                                                           AcceptCallback accept) = 0;

  // Connects; the callback runs on `loop`, once. kUnavailable where nobody
  // listens, kDeadlineExceeded, kInvalidArgument.
  using ConnectCallback = absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<Stream>>)>;
  virtual void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
                       ConnectCallback callback) = 0;
};

}  // namespace kvarts

#endif  // KVARTS_NET_TRANSPORT_H_
