#ifndef KVARTS_TESTING_CONFORMANCE_TRANSPORT_PEER_H_
#define KVARTS_TESTING_CONFORMANCE_TRANSPORT_PEER_H_

#include "base/language.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/transport.h"
#include "testing/conformance/transport_harness.h"

namespace kvarts {

// A test thread's hold on a stream: every call is made on the stream's loop and
// waited for. Destroys the stream there.
class TestStream {
 public:
  // What became of an operation. `callback` counts the callback's runs, `dropped`
  // its destruction.
  struct Outcome {
    int callbacks = 0;
    bool dropped = false;
    CrossThreadStatus status;
    std::string bytes;  // of a read
    bool in_loop = false;
  };
  // One that is under way. `inside` is set where the callback ran inside the call.
  struct Operation {
    Awaited<Outcome> outcome;
    std::string buffer;               // a read's
    std::vector<std::string> pieces;  // a write's
    bool starting = false;
    bool inside = false;
    // Waits for the callback.
    absl::Status Await();
    // Waits for the callback's destruction.
    Outcome AwaitDropped();
  };
  using Pending = std::shared_ptr<Operation>;

  TestStream() = default;
  explicit TestStream(std::unique_ptr<Stream> stream);
  TestStream(TestStream&&) = default;
  TestStream& operator=(TestStream&& other) noexcept;
  ~TestStream() { Destroy(); }

  bool empty() const { return stream_ == nullptr; }
  EventLoop* loop() const { return loop_; }
  std::string peer();
  // On the loop, or where all have stopped.
  Stream* get() const { return stream_.get(); }
  // Runs `work` on the loop.
  void On(std::function<void(Stream*)> work);

  Pending StartRead(size_t most, absl::Duration timeout = absl::InfiniteDuration());
  Pending StartWrite(std::vector<std::string> pieces,
                     absl::Duration timeout = absl::InfiniteDuration());

  absl::StatusOr<std::string> Read(size_t most, absl::Duration timeout = absl::InfiniteDuration());
  // Less where the stream ends first.
  absl::StatusOr<std::string> ReadExactly(size_t n);
  absl::StatusOr<std::string> ReadToEnd();
  absl::Status Write(std::string bytes, absl::Duration timeout = absl::InfiniteDuration());
  void CloseWrite();
  void Close();
  void Destroy();
  // The stream itself, for a test that drives it on its loop.
  std::unique_ptr<Stream> Release() { return std::move(stream_); }

  // For tests that call on the loop.
  static void ReadInto(Stream* stream, size_t most, absl::Duration timeout, const Pending& pending);
  static void WriteFrom(Stream* stream, absl::Duration timeout, const Pending& pending);

 private:
  std::unique_ptr<Stream> stream_;
  EventLoop* loop_ = nullptr;
};

// `n` bytes at `offset` of an endless text that differs by `seed` and repeats
// after about a million bytes; at most kPatternBytes of them.
inline constexpr size_t kPatternBytes = 1 << 20;
absl::string_view Pattern(uint64_t seed, uint64_t offset, size_t n);

// On the loop, but for the construction and the results. Writes Pattern(seed) in
// pieces of up to `most_piece` bytes, a few pieces a write.
class PatternSender : public std::enable_shared_from_this<PatternSender> {
 public:
  struct Plan {
    uint64_t seed = 0;
    uint64_t bytes = 0;
    size_t most_piece = 100000;
    size_t most_pieces = 9;
    bool close_write = false;  // at the end
  };
  static std::shared_ptr<PatternSender> Start(TestStream* stream, const Plan& plan);
  // Waits for the end.
  absl::Status Await();
  uint64_t written() const { return written_.Get(); }

 private:
  PatternSender(Stream* stream, const Plan& plan) : stream_(stream), plan_(plan) {}
  void Next();
  size_t Random(size_t most);  // 0..most

  Stream* const stream_;
  const Plan plan_;
  uint64_t random_ = 88172645463325252u;
  uint64_t offset_ = 0;
  Awaited<uint64_t> written_;
  Awaited<std::vector<CrossThreadStatus>> done_;
};

// The same, for reading: checks that Pattern(seed) comes, in reads of odd sizes.
class PatternReceiver : public std::enable_shared_from_this<PatternReceiver> {
 public:
  struct Plan {
    uint64_t seed = 0;
    uint64_t bytes = 0;
    size_t most_read = 150001;
    bool until_end = false;  // the stream must end behind the last byte
  };
  static std::shared_ptr<PatternReceiver> Start(TestStream* stream, const Plan& plan);
  absl::Status Await();
  // Any thread. Bytes read by now.
  uint64_t received() const { return received_.Get(); }

 private:
  PatternReceiver(Stream* stream, const Plan& plan) : stream_(stream), plan_(plan) {}
  void Next();
  void OnRead(absl::StatusOr<size_t> n);
  void End(absl::Status status);

  Stream* const stream_;
  const Plan plan_;
  size_t read_size_ = 1;
  std::string buffer_;
  uint64_t offset_ = 0;
  Awaited<uint64_t> received_;
  Awaited<std::vector<CrossThreadStatus>> done_;
};

// Writes back what comes, until the stream ends or fails; then ends its own
// direction. Destroy it before the loops.
class EchoServer {
 public:
  explicit EchoServer(TestStream stream);

 private:
  void Next();

  std::vector<char> buffer_ = std::vector<char>(10007);
  TestStream stream_;
};

// A TCP address on this machine where nobody listens, and where nobody can while this
// process lives.
std::string SilentTcpAddress();

}  // namespace kvarts

#endif  // KVARTS_TESTING_CONFORMANCE_TRANSPORT_PEER_H_
