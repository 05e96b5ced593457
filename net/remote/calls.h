#ifndef KVARTS_NET_REMOTE_CALLS_H_
#define KVARTS_NET_REMOTE_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/remote/link.h"
#include "storage/store.h"

namespace kvarts {
namespace remote {

// Calls whose answers go straight into what the waiting thread lent them. They
// touch it on the loop only, until Wait() returns.

// A GET of some of a MultiGet's keys: `places` are theirs in `results`.
class GetCall final : public WaitingCall {
 public:
  GetCall(std::vector<uint32_t> places, bool stamps, ReadResults* results)
      : places_(std::move(places)), stamps_(stamps), results_(results) {}

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
};

// A WRITE of some of a batch's mutations: `places` are theirs in `results`.
class WriteCall final : public WaitingCall {
 public:
  WriteCall(std::vector<uint32_t> places, WriteResults* results)
      : places_(std::move(places)), results_(results) {}

 private:
  absl::Status OnAnswer(const native::Response& response, absl::string_view payload,
                        native::FrameReader* reader) override;
  void OnDone(const absl::Status& status) override;

  const std::vector<uint32_t> places_;
  WriteResults* const results_;
  absl::Status answer_;
};

// A SCAN.
class ScanCall final : public WaitingCall {
 public:
  explicit ScanCall(ScanPage* page) : page_(page) {}

  // After Wait().
  absl::Status status() const { return Unshared(status_); }
  std::string& position() { return position_; }

 private:
  absl::Status OnAnswer(const native::Response& response, absl::string_view payload,
                        native::FrameReader* reader) override;

  ScanPage* const page_;
  absl::Status status_;
  std::string position_;
};

}  // namespace remote
}  // namespace kvarts

#endif  // KVARTS_NET_REMOTE_CALLS_H_
