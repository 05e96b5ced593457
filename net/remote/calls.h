#ifndef KVARTS_NET_REMOTE_CALLS_H_
#define KVARTS_NET_REMOTE_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/native/client.h"
#include "net/native/native.pb.h"
#include "net/waiting.h"
#include "storage/store.h"

namespace kvarts {
namespace remote {

using WaitingCall = kvarts::WaitingCall<native::ClientCall>;

// Calls whose answers go straight into what their maker lent them. They touch it on the loop only,
// until Wait() returns or Then() is told: several of one loop may share it.

// One whose answer is a header.
class HeaderCall final : public WaitingCall {
 public:
  // Instead of Wait(). Errors of the server too.
  absl::StatusOr<native::Response> WaitForResponse() { return TakeResponse(Wait()); }
  // Then() was told `status`.
  absl::StatusOr<native::Response> TakeResponse(const absl::Status& status);

 private:
  absl::Status OnAnswer(const native::Response& response, absl::string_view,
                        native::FrameReader*) override {
    response_ = response;
    return absl::OkStatus();
  }

  native::Response response_;
};

// A GET of some of a MultiGet's keys: `places` are theirs in `results`.
class GetCall final : public WaitingCall {
 public:
  GetCall(std::vector<uint32_t> places, bool stamps, ReadResults* results)
      : places_(std::move(places)), stamps_(stamps), results_(results) {}

  const std::vector<uint32_t>& places() const { return places_; }
  // At the end: what Wait() returned, and whether a key has an error of its own.
  const absl::Status& outcome() const { return outcome_; }
  bool has_errors() const { return has_errors_; }

 private:
  absl::Status OnAnswer(const native::Response& response, absl::string_view payload,
                        native::FrameReader* reader) override;
  void OnRetry() override;
  void OnDone(const absl::Status& status) override;
  void Fail(const absl::Status& status);

  const std::vector<uint32_t> places_;
  const bool stamps_;
  ReadResults* const results_;
  size_t answered_ = 0;
  bool has_errors_ = false;
  absl::Status outcome_;
};

// A WRITE of some of a batch's mutations: `places` are theirs in `results`.
class WriteCall final : public WaitingCall {
 public:
  WriteCall(std::vector<uint32_t> places, WriteResults* results)
      : places_(std::move(places)), results_(results) {}

  // At the end: what Wait() returned, and whether that is the server's word.
  const absl::Status& outcome() const { return answer_; }
  bool was_answered() const { return was_answered_; }
  const std::vector<uint32_t>& places() const { return places_; }

 private:
  absl::Status OnAnswer(const native::Response& response, absl::string_view payload,
                        native::FrameReader* reader) override;
  void OnDone(const absl::Status& status) override;

  const std::vector<uint32_t> places_;
  WriteResults* const results_;
  absl::Status answer_;
  bool was_answered_ = false;
};

// A SCAN.
class ScanCall final : public WaitingCall {
 public:
  explicit ScanCall(ScanPage* page) : page_(page) {}

  // At the end: what came of it, and whether that is the server's word.
  absl::Status status() const { return Unshared(status_); }
  bool was_answered() const { return was_answered_; }
  std::string& position() { return position_; }

 private:
  absl::Status OnAnswer(const native::Response& response, absl::string_view payload,
                        native::FrameReader* reader) override;
  void OnDone(const absl::Status& status) override {
    was_answered_ = status.ok();
    if (!was_answered_) status_ = status;
    WaitingCall::OnDone(status);
  }

  ScanPage* const page_;
  absl::Status status_;
  bool was_answered_ = false;
  std::string position_;
};

}  // namespace remote
}  // namespace kvarts

#endif  // KVARTS_NET_REMOTE_CALLS_H_
