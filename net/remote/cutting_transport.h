#ifndef KVARTS_NET_REMOTE_CUTTING_TRANSPORT_H_
#define KVARTS_NET_REMOTE_CUTTING_TRANSPORT_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/transport.h"

namespace kvarts {

// For tests. Thread-safe. What the streams of a CuttingTransport may still do.
struct Scissors {
  // The bytes of all connections together, both ways, until one is cut: once.
  std::atomic<int64_t> bytes_left{INT64_MAX};
  std::atomic<int64_t> bytes_seen{0};
  // What these first connections would read is lost, but not their end.
  std::atomic<int> mute_before{0};
  std::atomic<int> connections{0};
};

// A connecting side that loses its connection after so many bytes.
class CuttingStream final : public Stream {
 public:
  CuttingStream(std::unique_ptr<Stream> stream, Scissors* scissors)
      : scissors_(scissors),
        number_(scissors->connections.fetch_add(1)),
        stream_(std::move(stream)) {}

  void Read(absl::Span<char> buffer, absl::Duration timeout, ReadCallback callback) override {
    stream_->Read(
        buffer, timeout,
        [this, buffer, timeout, callback = std::move(callback)](absl::StatusOr<size_t> n) mutable {
          if (!n.ok() || *n == 0) return callback(n);
          if (number_ < scissors_->mute_before) {
            return Read(buffer, timeout, std::move(callback));
          }
          const int64_t kept = Take(static_cast<int64_t>(*n));
          if (kept < static_cast<int64_t>(*n)) stream_->Close();
          if (kept > 0) return callback(static_cast<size_t>(kept));
          callback(absl::UnavailableError("cut while reading"));
        });
  }

  void Write(absl::Span<const absl::string_view> pieces, absl::Duration timeout,
             WriteCallback callback) override {
    std::string all;
    for (const absl::string_view piece : pieces) all.append(piece.data(), piece.size());
    const int64_t kept = Take(static_cast<int64_t>(all.size()));
    const bool whole = kept == static_cast<int64_t>(all.size());
    all.resize(static_cast<size_t>(kept));
    written_ = std::move(all);
    const absl::string_view piece = written_;
    stream_->Write(absl::MakeConstSpan(&piece, 1), timeout,
                   [this, whole, callback = std::move(callback)](absl::Status status) mutable {
                     if (!whole) stream_->Close();
                     callback(whole ? status : absl::UnavailableError("cut while writing"));
                   });
  }

  void CloseWrite() override { stream_->CloseWrite(); }
  void Close() override { stream_->Close(); }
  EventLoop* loop() const override { return stream_->loop(); }
  std::string peer() const override { return stream_->peer(); }

 private:
  // How many of `n` bytes get through. What follows the cut, on other
  // connections, is whole.
  int64_t Take(int64_t n) {
    scissors_->bytes_seen += n;
    const int64_t left = scissors_->bytes_left;
    if (n <= left) {
      scissors_->bytes_left -= n;
      return n;
    }
    scissors_->bytes_left = INT64_MAX;
    return left;
  }

  Scissors* const scissors_;
  const int number_;
  std::string written_;
  const std::unique_ptr<Stream> stream_;
};

class CuttingTransport final : public Transport {
 public:
  // `under` and `scissors` must outlive it.
  CuttingTransport(Transport* under, Scissors* scissors) : under_(under), scissors_(scissors) {}

  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                   absl::string_view address,
                                                   const ListenOptions& options,
                                                   AcceptCallback accept) override {
    return under_->Listen(loops, address, options, std::move(accept));
  }
  void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
               ConnectCallback callback) override {
    under_->Connect(loop, address, timeout,
                    [scissors = scissors_, callback = std::move(callback)](
                        absl::StatusOr<std::unique_ptr<Stream>> stream) mutable {
                      if (!stream.ok()) return callback(std::move(stream));
                      callback(std::unique_ptr<Stream>(
                          std::make_unique<CuttingStream>(*std::move(stream), scissors)));
                    });
  }

 private:
  Transport* const under_;
  Scissors* const scissors_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_REMOTE_CUTTING_TRANSPORT_H_
