#ifndef KVARTS_CLUSTER_COORDINATOR_LOSSY_TRANSPORT_H_
#define KVARTS_CLUSTER_COORDINATOR_LOSSY_TRANSPORT_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "net/transport.h"

namespace kvarts {

// For tests. What is lost of an exchange; the connection ends with it.
enum class Loss : unsigned char {
  kNothing = 0,
  kRequest,  // and the test may deliver it later
  kAnswer,
};

// Thread-safe. Another transport, whose connections lose requests and answers.
class LossyTransport final : public Transport {
 public:
  // Asked before each write of a connecting side, with all that is written; on any loop.
  using Judge = std::function<Loss(absl::string_view)>;

  explicit LossyTransport(Transport* base) : base_(base) {}

  void SetJudge(Judge judge) {
    MutexLock lock(&mu_);
    judge_ = std::move(judge);
  }
  // The request that was lost last.
  std::string lost() const {
    MutexLock lock(&mu_);
    return lost_;
  }

  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                   absl::string_view address,
                                                   const ListenOptions& options,
                                                   AcceptCallback accept) override {
    return base_->Listen(loops, address, options, std::move(accept));
  }

  void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
               ConnectCallback callback) override {
    base_->Connect(loop, address, timeout,
                   [this, callback = std::move(callback)](
                       absl::StatusOr<std::unique_ptr<Stream>> stream) mutable {
                     if (!stream.ok()) return callback(std::move(stream));
                     callback(std::make_unique<LossyStream>(this, *std::move(stream)));
                   });
  }

 private:
  class LossyStream final : public Stream {
   public:
    LossyStream(LossyTransport* owner, std::unique_ptr<Stream> base)
        : owner_(owner), base_(std::move(base)) {}

    void Read(absl::Span<char> buffer, absl::Duration timeout, ReadCallback callback) override {
      base_->Read(buffer, timeout,
                  [this, callback = std::move(callback)](absl::StatusOr<size_t> n) mutable {
                    if (lose_answer_) n = absl::UnavailableError("the test lost the answer");
                    callback(std::move(n));
                  });
    }

    void Write(absl::Span<const absl::string_view> pieces, absl::Duration timeout,
               WriteCallback callback) override {
      std::string all;
      for (const absl::string_view piece : pieces) all.append(piece.data(), piece.size());
      const Loss loss = owner_->Ask(all);
      lose_answer_ = loss == Loss::kAnswer;
      // The read that is under way then fails.
      if (loss == Loss::kRequest) base_->Close();
      base_->Write(pieces, timeout, std::move(callback));
    }

    void CloseWrite() override { base_->CloseWrite(); }
    void Close() override { base_->Close(); }
    EventLoop* loop() const override { return base_->loop(); }
    std::string peer() const override { return base_->peer(); }

   private:
    LossyTransport* const owner_;
    const std::unique_ptr<Stream> base_;
    bool lose_answer_ = false;
  };

  Loss Ask(const std::string& request) {
    MutexLock lock(&mu_);
    if (judge_ == nullptr) return Loss::kNothing;
    const Loss loss = judge_(request);
    if (loss == Loss::kRequest) lost_ = request;
    return loss;
  }

  Transport* const base_;
  mutable Mutex mu_;
  Judge judge_ ABSL_GUARDED_BY(mu_);
  std::string lost_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_LOSSY_TRANSPORT_H_
