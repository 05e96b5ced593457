// A simulated connection: what the two systems tell each other, and the streams over it.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "net/deadlines_internal.h"
#include "testing/sim/network_internal.h"

namespace kvarts {
namespace sim_internal {

using net_internal::Deadlines;

// On its loop only. One end of a connection; all callbacks run in Progress().
class End : public std::enable_shared_from_this<End> {
 public:
  End(std::shared_ptr<Connection> connection, int side)
      : connection_(std::move(connection)),
        side_(side),
        loop_(own().loop),
        deadlines_(loop_, [this](Deadlines::Direction direction) { Expired(direction); }) {}

  EventLoop* loop() const { return loop_; }
  std::string peer() { return absl::StrCat("sim:", in().process->name()); }

  void Read(absl::Span<char> buffer, absl::Duration timeout, Stream::ReadCallback callback) {
    read_.callback = std::move(callback);
    read_.buffer = buffer;
    if (!read_.dead.ok()) {
      read_.result = read_.dead;
    } else if (buffer.empty()) {
      read_.result = absl::InvalidArgumentError("a read into an empty buffer");
    } else {
      deadlines_.Set(Deadlines::kRead, timeout);
      TryRead();
    }
    if (read_.result.has_value()) Wake();
  }

  void Write(absl::Span<const absl::string_view> pieces, absl::Duration timeout,
             Stream::WriteCallback callback) {
    write_.callback = std::move(callback);
    write_.pieces.assign(pieces.begin(), pieces.end());
    write_.next = 0;
    if (!write_.dead.ok()) {
      write_.result = write_.dead;
    } else {
      deadlines_.Set(Deadlines::kWrite, timeout);
      TryWrite();
    }
    if (write_.result.has_value()) Wake();
  }

  void CloseWrite() {
    if (!write_.dead.ok()) return;
    write_.dead = absl::FailedPreconditionError("write after CloseWrite()");
    if (!own().lost) connection_->Send(side_, {Message::kEnded});
  }

  void Close() {
    if (closed_) return;
    closed_ = true;
    deadlines_.Stop();
    read_.dead = write_.dead = absl::CancelledError("the stream was closed");
    if (read_.callback != nullptr) read_.result = read_.dead;
    if (write_.callback != nullptr) write_.result = write_.dead;
    if (read_.callback != nullptr || write_.callback != nullptr) Wake();
    connection_->CloseHalf(side_, false);
  }

  // The stream's end: nothing of it is called after this.
  void Detach() {
    Close();
    Dropped dropped;
    DropCallbacks(&dropped);
    own().end = nullptr;
    if (in().end == nullptr) connection_->network()->Forget(connection_.get());
  }

  void DropCallbacks(Dropped* dropped) {
    dropped->reads.push_back(std::exchange(read_.callback, nullptr));
    dropped->writes.push_back(std::exchange(write_.callback, nullptr));
  }

  void Wake() {
    if (waking_) return;
    waking_ = true;
    loop_->Post([end = weak_from_this()] {
      if (const std::shared_ptr<End> alive = end.lock()) alive->Progress();
    });
  }

 private:
  Connection::Half& own() { return connection_->half(side_); }
  Connection::Half& in() { return connection_->half(1 - side_); }

  void Progress() {
    waking_ = false;
    if (read_.callback != nullptr && !read_.result.has_value()) TryRead();
    if (write_.callback != nullptr && !write_.result.has_value()) TryWrite();
    // A callback may destroy the stream, which leaves no other callback to run.
    if (read_.callback != nullptr && read_.result.has_value()) {
      deadlines_.Clear(Deadlines::kRead);
      absl::StatusOr<size_t> result = *std::move(read_.result);
      read_.result.reset();
      if (!result.ok()) read_.dead = result.status();
      std::exchange(read_.callback, nullptr)(std::move(result));
    }
    if (write_.callback != nullptr && write_.result.has_value()) {
      deadlines_.Clear(Deadlines::kWrite);
      absl::Status result = *std::move(write_.result);
      write_.result.reset();
      if (!result.ok()) write_.dead = result;
      std::exchange(write_.callback, nullptr)(std::move(result));
    }
  }

  void TryRead() {
    if (own().lost) {
      read_.result = absl::UnavailableError("the connection was lost");
      return;
    }
    Connection::Half& from = in();
    const size_t n = from.ring.Get(read_.buffer.first(std::min(read_.buffer.size(), from.arrived)));
    from.arrived -= n;
    if (n > 0) {
      read_.result = n;
      SendTaken(n);
    } else if (from.reset) {
      read_.result = absl::UnavailableError("connection reset by the peer");
    } else if (from.ended) {
      read_.result = 0;
    }
  }

  void TryWrite() {
    Connection::Half& to = own();
    if (to.lost || to.peer_gone) {
      write_.result = absl::UnavailableError(to.lost ? "the connection was lost"
                                                     : "the peer has closed the connection");
      return;
    }
    size_t total = 0;
    for (; write_.next < write_.pieces.size(); ++write_.next) {
      absl::string_view& piece = write_.pieces[write_.next];
      const size_t n = std::min(piece.size(), kSimWindow - to.outstanding);
      if (!to.discarded) to.ring.Put(piece.substr(0, n));
      to.outstanding += n;
      total += n;
      piece.remove_prefix(n);
      if (!piece.empty()) break;
    }
    if (write_.next == write_.pieces.size()) write_.result = absl::OkStatus();
    connection_->SendBytes(side_, total);
  }

  // Tells the peer of room by quarters of the window, or when all is read. To tell of each
  // read would have it fill little room by little messages, smaller and smaller.
  void SendTaken(size_t n) {
    untold_ += n;
    if (untold_ < kSimWindow / 4 && in().ring.size() > 0) return;
    connection_->Send(side_, {Message::kTaken, std::exchange(untold_, 0)});
  }

  void Expired(Deadlines::Direction direction) {
    if (direction == Deadlines::kRead) {
      if (read_.callback == nullptr || read_.result.has_value()) return;
      read_.result = absl::DeadlineExceededError("read timed out");
    } else {
      if (write_.callback == nullptr || write_.result.has_value()) return;
      write_.result = absl::DeadlineExceededError("write timed out");
    }
    Wake();
  }

  const std::shared_ptr<Connection> connection_;
  const int side_;
  EventLoop* const loop_;
  Deadlines deadlines_;
  size_t untold_ = 0;  // bytes read, of which the peer has not been told
  bool closed_ = false;
  bool waking_ = false;  // a Progress() is posted
  // A callback stands while its operation is under way; `result` from when it has ended
  // until the callback has run; `dead` is what later ones end with.
  struct {
    Stream::ReadCallback callback;
    absl::Span<char> buffer;
    absl::optional<absl::StatusOr<size_t>> result;
    absl::Status dead;
  } read_;
  struct {
    Stream::WriteCallback callback;
    std::vector<absl::string_view> pieces;
    size_t next = 0;
    absl::optional<absl::Status> result;
    absl::Status dead;
  } write_;
};

void WakeEnd(End* end) { end->Wake(); }
void DropCallbacks(End* end, Dropped* dropped) { end->DropCallbacks(dropped); }

namespace {

class SimStream final : public Stream {
 public:
  explicit SimStream(std::shared_ptr<End> end) : end_(std::move(end)) {}
  ~SimStream() override { end_->Detach(); }

  void Read(absl::Span<char> buffer, absl::Duration timeout, ReadCallback callback) override {
    end_->Read(buffer, timeout, std::move(callback));
  }
  void Write(absl::Span<const absl::string_view> pieces, absl::Duration timeout,
             WriteCallback callback) override {
    end_->Write(pieces, timeout, std::move(callback));
  }
  void CloseWrite() override { end_->CloseWrite(); }
  void Close() override { end_->Close(); }
  EventLoop* loop() const override { return end_->loop(); }
  std::string peer() const override { return end_->peer(); }

 private:
  const std::shared_ptr<End> end_;
};

}  // namespace

std::unique_ptr<Stream> NewSimStream(std::shared_ptr<Connection> connection, int side) {
  Connection::Half& half = connection->half(side);
  auto end = std::make_shared<End>(std::move(connection), side);
  half.end = end.get();
  return std::make_unique<SimStream>(std::move(end));
}

Connection::Connection(Network* network, uint64_t id, Half near, Half far)
    : network_(network), id_(id), halves_{std::move(near), std::move(far)} {}

void Connection::SendBytes(int side, size_t bytes) {
  SimWorld* const world = network_->world();
  while (bytes > 0) {
    const size_t n =
        world->Chance(halves_[side].link->options.cut) ? 1 + world->random()->Below(bytes) : bytes;
    Send(side, {Message::kBytes, n});
    bytes -= n;
    if (bytes == 0) return;
    // Else the parts of what was cut would often arrive as one.
    const SimLinkOptions& options = halves_[side].link->options;
    halves_[side].last_arrival +=
        world->Between(absl::ZeroDuration(), options.most_delay - options.least_delay);
  }
}

void Connection::Send(int side, const Message& message) {
  halves_[side].path.push_back(message);
  Schedule(side, message.kind == Message::kBytes ? message.bytes : 0);
}

void Connection::Schedule(int side, size_t bytes) {
  Half& from = halves_[side];
  const absl::Duration now = network_->world()->Now();
  from.last_arrival = std::max(from.last_arrival, now + network_->Delay(from.link, bytes));
  network_->world()->After(from.last_arrival - now, [self = weak_from_this(), side] {
    if (const std::shared_ptr<Connection> alive = self.lock()) alive->Arrive(side);
  });
}

void Connection::SendStalled(int side) {
  if (halves_[side].link->blocked) return;
  for (int n = std::exchange(halves_[side].stalled, 0); n > 0; --n) Schedule(side, 0);
}

void Connection::Arrive(int side) {
  Half& from = halves_[side];
  if (from.link->blocked) {
    ++from.stalled;
    ++network_->stats().stalled;
    return;
  }
  const Message message = from.path.front();
  from.path.pop_front();
  SimWorld* const world = network_->world();
  world->Trace(id_ * 8 + message.kind);
  world->Trace(message.bytes);
  ++network_->stats().messages;
  if (world->Chance(from.link->options.lose_connection)) return Lose();
  Deliver(side, message);
}

void Connection::Deliver(int side, const Message& message) {
  Half& from = halves_[side];
  Half& to = halves_[1 - side];
  if (to.crashed) {
    // A machine that has booted since knows nothing of the connection, and says so.
    const bool answers = to.silent && !network_->IsDown(to.process->name());
    if (answers && message.kind != Message::kReset) Send(1 - side, {Message::kReset});
    return;
  }
  if (to.lost) return;
  switch (message.kind) {
    case Message::kBytes:
      if (from.discarded) return;
      from.arrived += message.bytes;
      network_->stats().bytes += message.bytes;
      break;
    case Message::kTaken:
      to.outstanding -= message.bytes;
      break;
    case Message::kEnded:
      from.ended = true;
      break;
    case Message::kGone:
      from.ended = true;
      from.reset = from.reset || message.unread;
      to.peer_gone = true;
      break;
    case Message::kReset:
      to.lost = true;
      break;
  }
  Wake(1 - side);
}

void Connection::CloseHalf(int side, bool reset) {
  Half& half = halves_[side];
  if (half.lost || half.closed) return;
  half.closed = true;
  const bool unread = halves_[1 - side].ring.size() > 0;
  Discard(1 - side);
  Send(side, {Message::kGone, 0, reset || unread});
}

void Connection::Crash(int side, SimCrash crash) {
  Half& half = halves_[side];
  if (crash == SimCrash::kKilled) CloseHalf(side, true);
  Discard(1 - side);
  half.crashed = half.lost = true;
  half.silent = crash == SimCrash::kSilent;
}

void Connection::Lose() {
  ++network_->stats().lost_connections;
  for (const int side : {0, 1}) {
    Discard(side);
    halves_[side].lost = true;
    Wake(side);
  }
}

// What `side` wrote will not be read.
void Connection::Discard(int side) {
  Half& half = halves_[side];
  half.discarded = true;
  half.arrived = 0;
  half.ring.Free();
}

void Connection::Wake(int side) {
  if (halves_[side].end != nullptr) WakeEnd(halves_[side].end);
}

}  // namespace sim_internal
}  // namespace kvarts
