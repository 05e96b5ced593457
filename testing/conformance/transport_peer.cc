#include "testing/conformance/transport_peer.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

// Tells the operation when its callback is destroyed.
class DropMark {
 public:
  explicit DropMark(TestStream::Pending pending) : pending_(std::move(pending)) {}
  DropMark(DropMark&&) = default;
  DropMark& operator=(DropMark&&) = delete;
  ~DropMark() {
    if (pending_ == nullptr) return;
    pending_->outcome.Update([](TestStream::Outcome* outcome) { outcome->dropped = true; });
  }
  TestStream::Operation* operator->() const { return pending_.get(); }

 private:
  TestStream::Pending pending_;
};

absl::Status TookTooLong(absl::string_view what) {
  return absl::InternalError(absl::StrCat("the test waited too long for ", what));
}

absl::Status AwaitEnd(const Awaited<std::vector<CrossThreadStatus>>& done, absl::string_view what) {
  if (!done.Await([](const auto& statuses) { return !statuses.empty(); })) return TookTooLong(what);
  return done.Get().front().Get();
}

}  // namespace

absl::Status TestStream::Operation::Await() {
  if (!outcome.Await([](const Outcome& o) { return o.callbacks > 0 || o.dropped; })) {
    return TookTooLong("a callback");
  }
  const Outcome got = outcome.Get();
  if (got.callbacks == 0) return absl::InternalError("the callback was dropped");
  return got.status.Get();
}

TestStream::Outcome TestStream::Operation::AwaitDropped() {
  outcome.Await([](const Outcome& o) { return o.dropped; });
  return outcome.Get();
}

TestStream::TestStream(std::unique_ptr<Stream> stream)
    : stream_(std::move(stream)), loop_(stream_->loop()) {}

TestStream& TestStream::operator=(TestStream&& other) noexcept {
  Destroy();
  stream_ = std::move(other.stream_);
  loop_ = other.loop_;
  return *this;
}

void TestStream::On(std::function<void(Stream*)> work) {
  RunOn(loop_, [this, &work] { work(stream_.get()); });
}

std::string TestStream::peer() {
  std::string peer;
  On([&](Stream* stream) { peer = stream->peer(); });
  return peer;
}

void TestStream::ReadInto(Stream* stream, size_t most, absl::Duration timeout,
                          const Pending& pending) {
  pending->buffer.resize(most);
  pending->starting = true;
  EventLoop* const loop = stream->loop();
  stream->Read(absl::MakeSpan(&pending->buffer[0], most), timeout,
               [mark = DropMark(pending), loop](absl::StatusOr<size_t> n) {
                 mark->inside = mark->starting;
                 mark->outcome.Update([&](Outcome* outcome) {
                   ++outcome->callbacks;
                   outcome->status = n.status();
                   outcome->in_loop = loop->InLoop();
                   if (n.ok()) outcome->bytes = mark->buffer.substr(0, *n);
                 });
               });
  pending->starting = false;
}

void TestStream::WriteFrom(Stream* stream, absl::Duration timeout, const Pending& pending) {
  pending->starting = true;
  EventLoop* const loop = stream->loop();
  const std::vector<absl::string_view> pieces(pending->pieces.begin(), pending->pieces.end());
  stream->Write(pieces, timeout, [mark = DropMark(pending), loop](absl::Status status) {
    mark->inside = mark->starting;
    mark->outcome.Update([&](Outcome* outcome) {
      ++outcome->callbacks;
      outcome->status = status;
      outcome->in_loop = loop->InLoop();
    });
  });
  pending->starting = false;
}

TestStream::Pending TestStream::StartRead(size_t most, absl::Duration timeout) {
  auto pending = std::make_shared<Operation>();
  On([&](Stream* stream) { ReadInto(stream, most, timeout, pending); });
  return pending;
}

TestStream::Pending TestStream::StartWrite(std::vector<std::string> pieces,
                                           absl::Duration timeout) {
  auto pending = std::make_shared<Operation>();
  pending->pieces = std::move(pieces);
  On([&](Stream* stream) { WriteFrom(stream, timeout, pending); });
  return pending;
}

absl::StatusOr<std::string> TestStream::Read(size_t most, absl::Duration timeout) {
  const Pending pending = StartRead(most, timeout);
  if (absl::Status status = pending->Await(); !status.ok()) return status;
  return pending->outcome.Get().bytes;
}

absl::StatusOr<std::string> TestStream::ReadExactly(size_t n) {
  std::string all;
  while (all.size() < n) {
    absl::StatusOr<std::string> part = Read(n - all.size());
    if (!part.ok()) return part;
    if (part->empty()) break;
    all += *part;
  }
  return all;
}

absl::StatusOr<std::string> TestStream::ReadToEnd() {
  std::string all;
  while (true) {
    absl::StatusOr<std::string> part = Read(1 << 20);
    if (!part.ok()) return part;
    if (part->empty()) return all;
    all += *part;
  }
}

absl::Status TestStream::Write(std::string bytes, absl::Duration timeout) {
  return StartWrite({std::move(bytes)}, timeout)->Await();
}

void TestStream::CloseWrite() {
  On([](Stream* stream) { stream->CloseWrite(); });
}

void TestStream::Close() {
  On([](Stream* stream) { stream->Close(); });
}

void TestStream::Destroy() {
  if (stream_ == nullptr) return;
  // Inside a loop's task (an accepted stream nobody asked for), or after Stop().
  if (loop_->InLoop() || !RunOn(loop_, [this] { stream_.reset(); })) stream_.reset();
}

absl::string_view Pattern(uint64_t seed, uint64_t offset, size_t n) {
  constexpr size_t kPeriod = 1000003;
  static const std::string* const text = [] {
    auto* text = new std::string(kPeriod + kPatternBytes, '\0');
    std::mt19937 random(1);
    for (size_t i = 0; i < kPeriod; ++i) (*text)[i] = static_cast<char>(random());
    for (size_t i = kPeriod; i < text->size(); ++i) (*text)[i] = (*text)[i - kPeriod];
    return text;
  }();
  return absl::string_view(*text).substr((seed * 7919 + offset) % kPeriod, n);
}

std::shared_ptr<PatternSender> PatternSender::Start(TestStream* stream, const Plan& plan) {
  std::shared_ptr<PatternSender> sender(new PatternSender(stream->get(), plan));
  stream->On([&](Stream*) { sender->Next(); });
  return sender;
}

size_t PatternSender::Random(size_t most) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_ % (most + 1);
}

void PatternSender::Next() {
  if (offset_ == plan_.bytes) {
    if (plan_.close_write) stream_->CloseWrite();
    done_.Set({absl::OkStatus()});
    return;
  }
  std::vector<absl::string_view> pieces;
  const size_t count = 1 + Random(plan_.most_pieces - 1);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t left = plan_.bytes - offset_;
    // Some are empty; never all.
    const size_t least = i == 0 ? 1 : 0;
    const size_t n = std::min<uint64_t>(left, least + Random(plan_.most_piece - least));
    pieces.push_back(Pattern(plan_.seed, offset_, n));
    offset_ += n;
  }
  stream_->Write(pieces, absl::InfiniteDuration(),
                 [self = shared_from_this()](absl::Status status) {
                   if (!status.ok()) return self->done_.Set({status});
                   self->written_.Set(self->offset_);
                   self->Next();
                 });
}

absl::Status PatternSender::Await() { return AwaitEnd(done_, "a sender"); }

std::shared_ptr<PatternReceiver> PatternReceiver::Start(TestStream* stream, const Plan& plan) {
  std::shared_ptr<PatternReceiver> receiver(new PatternReceiver(stream->get(), plan));
  stream->On([&](Stream*) { receiver->Next(); });
  return receiver;
}

void PatternReceiver::End(absl::Status status) { done_.Set({status}); }

void PatternReceiver::Next() {
  if (offset_ == plan_.bytes && !plan_.until_end) return End(absl::OkStatus());
  // Sizes that are no multiple of anything, up to the largest.
  read_size_ = read_size_ * 3 + 1;
  if (read_size_ > plan_.most_read)
    read_size_ = 1 + read_size_ % std::min<size_t>(7, plan_.most_read);
  const uint64_t left = plan_.bytes - offset_ + (plan_.until_end ? 1 : 0);
  buffer_.resize(std::min<uint64_t>(read_size_, left));
  stream_->Read(absl::MakeSpan(&buffer_[0], buffer_.size()), absl::InfiniteDuration(),
                [self = shared_from_this()](absl::StatusOr<size_t> n) { self->OnRead(n); });
}

void PatternReceiver::OnRead(absl::StatusOr<size_t> n) {
  if (!n.ok()) return End(n.status());
  if (*n == 0) {
    if (plan_.until_end && offset_ == plan_.bytes) return End(absl::OkStatus());
    return End(absl::DataLossError(absl::StrCat("ended after ", offset_, " bytes")));
  }
  if (*n > buffer_.size() || offset_ + *n > plan_.bytes) {
    return End(absl::DataLossError(absl::StrCat("too many bytes at ", offset_)));
  }
  if (Pattern(plan_.seed, offset_, *n) != absl::string_view(buffer_).substr(0, *n)) {
    return End(absl::DataLossError(absl::StrCat("wrong bytes behind ", offset_)));
  }
  offset_ += *n;
  received_.Set(offset_);
  Next();
}

absl::Status PatternReceiver::Await() { return AwaitEnd(done_, "a receiver"); }

EchoServer::EchoServer(TestStream stream) : stream_(std::move(stream)) {
  stream_.On([this](Stream*) { Next(); });
}

void EchoServer::Next() {
  Stream* const stream = stream_.get();
  stream->Read(absl::MakeSpan(buffer_), absl::InfiniteDuration(),
               [this, stream](absl::StatusOr<size_t> n) {
                 if (!n.ok()) return;
                 if (*n == 0) return stream->CloseWrite();
                 stream->Write({absl::string_view(buffer_.data(), *n)}, absl::InfiniteDuration(),
                               [this](absl::Status status) {
                                 if (status.ok()) Next();
                               });
               });
}

std::string SilentTcpAddress() {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  // Bound and never listened on; open until the process ends.
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(fd, any, size), 0);
  EXPECT_EQ(::getsockname(fd, any, &size), 0);
  return absl::StrCat("tcp://127.0.0.1:", ntohs(address.sin_port));
}

}  // namespace kvarts
