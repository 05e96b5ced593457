#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/optional.h"
#include "base/mutex.h"
#include "net/deadlines_internal.h"
#include "net/loopback/loopback.h"
#include "net/loopback/ring_internal.h"
#include "net/loopback/stream_internal.h"

namespace kvarts {
namespace net_internal {
namespace {

class End;

// What the two ends of a connection share. Side s reads channels[s] and writes
// channels[1 - s].
struct Link {
  struct Channel {
    Ring ring{kLoopbackWindow};
    bool ended = false;        // nothing more will be written
    bool reset = false;        // ... because the writer left bytes of ours unread
    bool reader_gone = false;  // nothing more will be read
    bool reader_waits = false;
    bool writer_waits = false;
  };
  struct Side {
    EventLoop* loop = nullptr;  // null once the end is gone, which may outlive its loop
    std::weak_ptr<End> end;
    bool waking = false;  // a Progress() is posted
  };

  // Has the end of side `s` look again at what it waits for.
  void Wake(int s) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  Mutex mu;
  Channel channels[2] ABSL_GUARDED_BY(mu);
  Side sides[2] ABSL_GUARDED_BY(mu);
};

// On its loop only. One end of a connection: outlives its Stream for as long as
// a posted Progress() runs. All callbacks run in Progress().
class End : public std::enable_shared_from_this<End> {
 public:
  End(std::shared_ptr<Link> link, int side, EventLoop* loop)
      : link_(std::move(link)),
        side_(side),
        loop_(loop),
        deadlines_(loop, [this](Deadlines::Direction direction) { Expired(direction); }) {}

  EventLoop* loop() const { return loop_; }

  void Read(absl::Span<char> buffer, absl::Duration timeout, Stream::ReadCallback callback) {
    read_.callback = std::move(callback);
    read_.buffer = buffer;
    if (!read_.dead.ok()) {
      read_.result = read_.dead;
    } else if (buffer.empty()) {
      read_.result = absl::InvalidArgumentError("a read into an empty buffer");
    } else {
      deadlines_.Set(Deadlines::kRead, timeout);
    }
    MutexLock lock(&link_->mu);
    if (!read_.result.has_value()) TryRead();
    if (read_.result.has_value()) link_->Wake(side_);
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
    }
    MutexLock lock(&link_->mu);
    if (!write_.result.has_value()) TryWrite();
    if (write_.result.has_value()) link_->Wake(side_);
  }

  void CloseWrite() {
    if (!write_.dead.ok()) return;
    write_.dead = absl::FailedPreconditionError("write after CloseWrite()");
    MutexLock lock(&link_->mu);
    out().ended = true;
    if (out().reader_waits) link_->Wake(1 - side_);
  }

  void Close() {
    if (closed_) return;
    closed_ = true;
    deadlines_.Stop();
    read_.dead = write_.dead = absl::CancelledError("the stream was closed");
    if (read_.callback != nullptr) read_.result = read_.dead;
    if (write_.callback != nullptr) write_.result = write_.dead;
    MutexLock lock(&link_->mu);
    if (in().ring.size() > 0) out().reset = true;
    out().ended = in().reader_gone = true;
    in().ring.Free();
    if (read_.callback != nullptr || write_.callback != nullptr) link_->Wake(side_);
    link_->Wake(1 - side_);
  }

  // The stream's end: nothing of it is called after this.
  void Detach() {
    Close();
    {
      MutexLock lock(&link_->mu);
      link_->sides[side_].loop = nullptr;
    }
    const Stream::ReadCallback read = std::move(read_.callback);
    const Stream::WriteCallback write = std::move(write_.callback);
    read_.callback = nullptr;
    write_.callback = nullptr;
  }

  void Progress() {
    {
      MutexLock lock(&link_->mu);
      link_->sides[side_].waking = false;
      if (read_.callback != nullptr && !read_.result.has_value()) TryRead();
      if (write_.callback != nullptr && !write_.result.has_value()) TryWrite();
    }
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

 private:
  Link::Channel& in() ABSL_EXCLUSIVE_LOCKS_REQUIRED(link_->mu) { return link_->channels[side_]; }
  Link::Channel& out() ABSL_EXCLUSIVE_LOCKS_REQUIRED(link_->mu) {
    return link_->channels[1 - side_];
  }

  void TryRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(link_->mu) {
    Link::Channel& channel = in();
    const size_t n = channel.ring.Get(read_.buffer);
    channel.reader_waits = n == 0 && !channel.ended;
    if (channel.reader_waits) return;
    if (n == 0 && channel.reset) {
      read_.result = absl::UnavailableError("connection reset by the peer");
    } else {
      read_.result = n;
    }
    if (n > 0 && channel.writer_waits) link_->Wake(1 - side_);
  }

  void TryWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(link_->mu) {
    Link::Channel& channel = out();
    if (channel.reader_gone) {
      write_.result = absl::UnavailableError("the peer has closed the connection");
      return;
    }
    size_t total = 0;
    for (; write_.next < write_.pieces.size(); ++write_.next) {
      absl::string_view& piece = write_.pieces[write_.next];
      const size_t n = channel.ring.Put(piece);
      total += n;
      piece.remove_prefix(n);
      if (!piece.empty()) break;
    }
    channel.writer_waits = write_.next < write_.pieces.size();
    if (!channel.writer_waits) write_.result = absl::OkStatus();
    if (total > 0 && channel.reader_waits) link_->Wake(1 - side_);
  }

  void Expired(Deadlines::Direction direction) {
    if (direction == Deadlines::kRead) {
      if (read_.callback == nullptr || read_.result.has_value()) return;
      read_.result = absl::DeadlineExceededError("read timed out");
    } else {
      if (write_.callback == nullptr || write_.result.has_value()) return;
      write_.result = absl::DeadlineExceededError("write timed out");
    }
    MutexLock lock(&link_->mu);
    link_->Wake(side_);
  }

  const std::shared_ptr<Link> link_;
  const int side_;
  EventLoop* const loop_;
  Deadlines deadlines_;
  bool closed_ = false;
  // A callback stands while its operation is under way; `result` from when it
  // has ended until the callback has run; `dead` is what later ones end with.
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

void Link::Wake(int s) {
  Side& side = sides[s];
  if (side.waking || side.loop == nullptr) return;
  side.waking = true;
  side.loop->Post([end = side.end] {
    if (const std::shared_ptr<End> alive = end.lock()) alive->Progress();
  });
}

class LoopbackStream final : public Stream {
 public:
  explicit LoopbackStream(std::shared_ptr<End> end) : end_(std::move(end)) {}
  ~LoopbackStream() override { end_->Detach(); }

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
  std::string peer() const override { return "loopback:"; }

 private:
  const std::shared_ptr<End> end_;
};

}  // namespace

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> NewLoopbackPair(EventLoop* a,
                                                                            EventLoop* b) {
  auto link = std::make_shared<Link>();
  auto first = std::make_shared<End>(link, 0, a);
  auto second = std::make_shared<End>(link, 1, b);
  MutexLock lock(&link->mu);
  link->sides[0] = {a, first, false};
  link->sides[1] = {b, second, false};
  return {std::make_unique<LoopbackStream>(std::move(first)),
          std::make_unique<LoopbackStream>(std::move(second))};
}

}  // namespace net_internal
}  // namespace kvarts
