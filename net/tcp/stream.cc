#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/optional.h"
#include "base/lost_pages.h"
#include "net/deadlines_internal.h"
#include "net/tcp/stream_internal.h"

namespace kvarts {
namespace net_internal {
namespace {

using Protocol = boost::asio::generic::stream_protocol;
// With the context's executor itself: the default one is behind virtual calls.
using Socket = boost::asio::basic_stream_socket<Protocol, boost::asio::io_context::executor_type>;
using boost::system::error_code;

// Pieces that go into one system call.
constexpr size_t kMaxIov = 64;

// On its loop only. A stream's socket and operations; outlives the stream while
// the context holds a handler of it.
//
// An operation ends at once (`result` is set, and a Soon calls the callback after
// the turn) or in the context's handler, which calls it directly. A handler may
// come after its operation has ended by a deadline or Close(): it finds the
// callback gone, or another result, because the direction is dead then.
class SocketCore {
 public:
  SocketCore(AsioLoop* loop, const Endpoint& peer)
      : loop_(loop),
        peer_(peer),
        socket_(loop->context()),
        deadlines_(loop, [this](Deadlines::Direction direction) { Expired(direction); }) {}

  error_code Open(Fd fd) {
    error_code error;
    socket_.assign(Protocol(peer_.family(), 0), fd.get(), error);
    if (!error) fd.Release();
    return error;
  }

  AsioLoop* loop() const { return loop_; }
  const Endpoint& peer() const { return peer_; }
  int descriptor() { return socket_.native_handle(); }

  void Read(absl::Span<char> buffer, absl::Duration timeout, Stream::ReadCallback callback) {
    read_.callback = std::move(callback);
    read_.buffer = buffer;
    if (!read_.dead.ok()) return EndReadSoon(read_.dead);
    if (buffer.empty()) {
      return EndReadSoon(absl::InvalidArgumentError("a read into an empty buffer"));
    }
    // The context would wait for news of an end that it has seen.
    if (read_.ended) return EndReadSoon(size_t{0});
    // After a read that filled its buffer there is likely more.
    if (read_.filled && ReadNow()) return;
    deadlines_.Set(Deadlines::kRead, timeout);
    StartRead();
  }

  void Write(absl::Span<const absl::string_view> pieces, absl::Duration timeout,
             Stream::WriteCallback callback) {
    write_.callback = std::move(callback);
    if (!write_.dead.ok()) return EndWriteSoon(write_.dead);
    write_.lost_pages = lost_pages.load(std::memory_order_acquire);
    if (WriteNow(pieces)) return;
    deadlines_.Set(Deadlines::kWrite, timeout);
    StartWrite();
  }

  void CloseWrite() {
    if (!write_.dead.ok()) return;
    write_.dead = absl::FailedPreconditionError("write after CloseWrite()");
    ::shutdown(socket_.native_handle(), SHUT_WR);
  }

  void Close() {
    if (closed_) return;
    closed_ = true;
    deadlines_.Stop();
    read_.dead = write_.dead = absl::CancelledError("the stream was closed");
    if (read_.callback != nullptr) EndReadSoon(read_.dead);
    if (write_.callback != nullptr) EndWriteSoon(write_.dead);
    error_code ignored;
    socket_.close(ignored);
  }

  // The stream's end: nothing of it is called after this.
  void Detach() {
    const Stream::ReadCallback read = std::exchange(read_.callback, nullptr);
    const Stream::WriteCallback write = std::exchange(write_.callback, nullptr);
    Close();
  }

 private:
  friend class LocalRef<SocketCore>;

  // The rest of what a Write() was given.
  struct Rest {
    const boost::asio::const_buffer* first;
    const boost::asio::const_buffer* last;
    const boost::asio::const_buffer* begin() const { return first; }
    const boost::asio::const_buffer* end() const { return last; }
  };

  // True where the read has ended, well or not.
  bool ReadNow() {
    ssize_t n;
    do {
      n = ::recv(socket_.native_handle(), read_.buffer.data(), read_.buffer.size(), MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (n < 0) {
      EndReadSoon(StreamError("read", errno));
    } else {
      EndReadSoon(static_cast<size_t>(n));
    }
    return true;
  }

  void StartRead() {
    socket_.async_read_some(boost::asio::buffer(read_.buffer.data(), read_.buffer.size()),
                            [self = LocalRef<SocketCore>(this)](const error_code& error, size_t n) {
                              self->OnRead(error, n);
                            });
  }

  void OnRead(const error_code& error, size_t n) {
    AsioLoop::Turn turn(loop_);
    if (read_.callback == nullptr || read_.result.has_value()) return;
    // Cancelled along with a write whose time was over.
    if (error == boost::asio::error::operation_aborted) return StartRead();
    if (error && error != boost::asio::error::eof) {
      EndRead(StreamError("read", error.value()));
    } else {
      EndRead(n);
    }
  }

  void EndRead(absl::StatusOr<size_t> result) {
    deadlines_.Clear(Deadlines::kRead);
    if (result.ok()) {
      read_.filled = *result == read_.buffer.size();
      read_.ended = *result == 0;
    } else if (read_.dead.ok()) {
      read_.dead = result.status();
    }
    std::exchange(read_.callback, nullptr)(std::move(result));
  }

  void EndReadSoon(absl::StatusOr<size_t> result) {
    read_.result = std::move(result);
    loop_->RunSoon(&read_soon_);
  }

  // True where all was written, or the write has failed; else the rest is in
  // write_.rest.
  bool WriteNow(absl::Span<const absl::string_view> pieces) {
    iovec iov[kMaxIov];
    size_t next = 0;
    while (true) {
      size_t count = 0;
      size_t bytes = 0;
      const size_t begin = next;
      for (; next < pieces.size() && count < kMaxIov; ++next) {
        if (pieces[next].empty()) continue;
        iov[count++] = {const_cast<char*>(pieces[next].data()), pieces[next].size()};
        bytes += pieces[next].size();
      }
      if (count == 0) {
        EndWriteSoon(absl::OkStatus());
        return true;
      }
      msghdr message{};
      message.msg_iov = iov;
      message.msg_iovlen = count;
      ssize_t n;
      do {
        n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      } while (n < 0 && errno == EINTR);
      if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        EndWriteSoon(StreamError("write", errno));
        return true;
      }
      if (n == static_cast<ssize_t>(bytes)) continue;
      write_.rest.clear();
      for (size_t i = begin; i < pieces.size(); ++i) {
        if (!pieces[i].empty()) write_.rest.emplace_back(pieces[i].data(), pieces[i].size());
      }
      write_.next = 0;
      Advance(std::max<ssize_t>(n, 0));
      const absl::optional<absl::Status> ended = WriteRest();
      if (ended.has_value()) EndWriteSoon(*ended);
      return ended.has_value();
    }
  }

  // Writes until the socket is full. Less than all was written where it is, and also
  // where bytes could not be read, because a mapped file shrank: only another call
  // tells which, and only a full socket will tell of room. Nothing: it is full.
  absl::optional<absl::Status> WriteRest() {
    while (write_.next < write_.rest.size()) {
      // Zeros may have come in the place of what is left.
      if (lost_pages.load(std::memory_order_acquire) != write_.lost_pages) {
        return absl::UnavailableError("what is being sent is gone: a mapped file shrank");
      }
      iovec iov[kMaxIov];
      size_t count = 0;
      for (size_t i = write_.next; i < write_.rest.size() && count < kMaxIov; ++i) {
        iov[count++] = {const_cast<void*>(write_.rest[i].data()), write_.rest[i].size()};
      }
      msghdr message{};
      message.msg_iov = iov;
      message.msg_iovlen = count;
      const ssize_t n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return absl::nullopt;
      if (n < 0) return StreamError("write", errno);
      Advance(n);
    }
    return absl::OkStatus();
  }

  void Advance(size_t n) {
    while (n > 0) {
      boost::asio::const_buffer& buffer = write_.rest[write_.next];
      const size_t part = std::min(n, buffer.size());
      buffer += part;
      n -= part;
      if (buffer.size() == 0) ++write_.next;
    }
  }

  void StartWrite() {
    const boost::asio::const_buffer* const rest = write_.rest.data();
    socket_.async_write_some(Rest{rest + write_.next, rest + write_.rest.size()},
                             [self = LocalRef<SocketCore>(this)](
                                 const error_code& error, size_t n) { self->OnWrite(error, n); });
  }

  void OnWrite(const error_code& error, size_t n) {
    AsioLoop::Turn turn(loop_);
    if (write_.callback == nullptr || write_.result.has_value()) return;
    // Cancelled along with a read whose time was over.
    if (error == boost::asio::error::operation_aborted) return StartWrite();
    if (error) return EndWrite(StreamError("write", error.value()));
    Advance(n);
    const absl::optional<absl::Status> ended = WriteRest();
    if (!ended.has_value()) return StartWrite();
    EndWrite(*ended);
  }

  void EndWrite(absl::Status result) {
    deadlines_.Clear(Deadlines::kWrite);
    if (!result.ok() && write_.dead.ok()) write_.dead = result;
    std::exchange(write_.callback, nullptr)(std::move(result));
  }

  void EndWriteSoon(absl::Status result) {
    write_.result = std::move(result);
    loop_->RunSoon(&write_soon_);
  }

  void Expired(Deadlines::Direction direction) {
    if (direction == Deadlines::kRead) {
      if (read_.callback == nullptr || read_.result.has_value()) return;
      EndReadSoon(absl::DeadlineExceededError("read timed out"));
    } else {
      if (write_.callback == nullptr || write_.result.has_value()) return;
      EndWriteSoon(absl::DeadlineExceededError("write timed out"));
    }
    // The context lets go of the buffers before the callback runs.
    error_code ignored;
    socket_.cancel(ignored);
  }

  // Ends an operation whose result is there. Holds on to the core: the callback
  // may destroy the stream.
  class ReadSoon final : public Soon {
   public:
    explicit ReadSoon(SocketCore* core) : core_(core) {}
    void Run() override {
      const LocalRef<SocketCore> self(core_);
      if (self->read_.callback == nullptr) return;
      absl::StatusOr<size_t> result = *std::move(self->read_.result);
      self->read_.result.reset();
      self->EndRead(std::move(result));
    }

   private:
    SocketCore* const core_;
  };
  class WriteSoon final : public Soon {
   public:
    explicit WriteSoon(SocketCore* core) : core_(core) {}
    void Run() override {
      const LocalRef<SocketCore> self(core_);
      if (self->write_.callback == nullptr) return;
      absl::Status result = *std::move(self->write_.result);
      self->write_.result.reset();
      self->EndWrite(std::move(result));
    }

   private:
    SocketCore* const core_;
  };

  AsioLoop* const loop_;
  const Endpoint peer_;
  Socket socket_;
  Deadlines deadlines_;
  bool closed_ = false;
  ReadSoon read_soon_{this};
  WriteSoon write_soon_{this};
  // A callback stands while its operation is under way; `dead` is what later
  // ones end with.
  struct {
    Stream::ReadCallback callback;
    absl::Span<char> buffer;
    bool filled = false;  // by the last read
    bool ended = false;   // the peer has ended its direction
    absl::optional<absl::StatusOr<size_t>> result;
    absl::Status dead;
  } read_;
  struct {
    Stream::WriteCallback callback;
    std::vector<boost::asio::const_buffer> rest;
    size_t next = 0;
    uint64_t lost_pages = 0;  // when it began
    absl::optional<absl::Status> result;
    absl::Status dead;
  } write_;
  int refs_ = 0;
};

class SocketStream final : public Stream {
 public:
  explicit SocketStream(LocalRef<SocketCore> core) : core_(std::move(core)) {}
  ~SocketStream() override { core_->Detach(); }

  void Read(absl::Span<char> buffer, absl::Duration timeout, ReadCallback callback) override {
    core_->Read(buffer, timeout, std::move(callback));
  }
  void Write(absl::Span<const absl::string_view> pieces, absl::Duration timeout,
             WriteCallback callback) override {
    core_->Write(pieces, timeout, std::move(callback));
  }
  void CloseWrite() override { core_->CloseWrite(); }
  void Close() override { core_->Close(); }
  EventLoop* loop() const override { return core_->loop(); }
  std::string peer() const override {
    return core_->peer().family() == AF_UNIX ? "unix:" : core_->peer().ToString();
  }
  StreamSocket socket() const override {
    const int descriptor = core_->descriptor();
    return {LocalEndpoint(descriptor).ToString(), descriptor};
  }

 private:
  const LocalRef<SocketCore> core_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Stream>> NewSocketStream(AsioLoop* loop, Fd fd,
                                                        const Endpoint& peer) {
  SetConnectedOptions(fd.get(), peer.family());
  LocalRef<SocketCore> core(new SocketCore(loop, peer));
  if (const error_code error = core->Open(std::move(fd))) {
    return StreamError("cannot watch a socket", error.value());
  }
  return std::make_unique<SocketStream>(std::move(core));
}

}  // namespace net_internal
}  // namespace kvarts
