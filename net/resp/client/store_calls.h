#ifndef KVARTS_NET_RESP_CLIENT_STORE_CALLS_H_
#define KVARTS_NET_RESP_CLIENT_STORE_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/resp/client/scan_reply.h"
#include "net/resp/client/store_link.h"
#include "storage/store.h"

namespace kvarts {
namespace resp_client {

// Calls whose answers go straight into what the waiting thread lent them. They
// touch it on the loop only, until Wait() returns. Each makes its commands in its
// constructor.

// A read of the keys at `places`, which are theirs in `results` too:
//   MGET key...                                       their values
//   TYPE key, ...                                     whether they are there
//   MULTI, one of the two, PEXPIRETIME key, ..., EXEC  and when they expire
// In a transaction value and expiry are of one moment. All keys go together, or each has these
// commands to itself: a node of a cluster takes no command with keys of several slots.
class GetCall final : public WaitingCall {
 public:
  enum class Form : unsigned char {
    kTogether,
    kOneByOne,
    kAsking,  // one by one, each behind ASKING
  };

  GetCall(absl::Span<const absl::string_view> keys, std::vector<uint32_t> places, bool value,
          bool expiry, ReadResults* results, Form form = Form::kTogether);

  const std::vector<uint32_t>& places() const { return places_; }

 private:
  absl::Status OnItem(size_t command, const ReplyItem& item) override;
  void OnRetry() override;
  void OnDone(const absl::Status& status) override;
  absl::Status TakeElement(const ReplyItem& item, size_t depth);
  absl::Status TakeValue(const ReplyItem& item);
  absl::Status TakeExpiry(const ReplyItem& item);
  void AddGroup(absl::Span<const absl::string_view> keys);
  void BeginGroup(size_t group);
  // Those of the keys that share commands.
  absl::Span<const uint32_t> group() const {
    return absl::MakeConstSpan(places_).subspan(group_ * keys_per_group_, keys_per_group_);
  }
  void Fail(absl::Span<const uint32_t> places, const absl::Status& status);

  const std::vector<uint32_t> places_;
  const bool value_;
  const bool expiry_;
  const bool asking_;
  const size_t keys_per_group_;
  size_t commands_per_group_ = 0;  // constant once made
  ReadResults* const results_;

  // These are about the group whose answer comes.
  size_t group_ = 0;
  bool has_head_ = false;  // of the values' array
  size_t values_ = 0;      // so far
  size_t expiries_ = 0;
  bool failed_ = false;  // as a whole
};

// A write of the mutations [begin, end) of a batch, each with an outcome of its
// own in `results`. With `existed` puts are SET ... GET, whose reply is what was
// replaced. `asking`: each command is behind ASKING.
class WriteCall final : public WaitingCall {
 public:
  WriteCall(absl::Span<const Mutation> mutations, absl::Span<const uint32_t> places, bool existed,
            WriteResults* results, bool asking = false);

 private:
  enum class Asks : unsigned char { kOk, kSetGet, kCount, kNothing };
  struct Step {
    uint32_t place;
    Asks asks;
  };

  void Add(uint32_t place, const Mutation& mutation, bool existed);
  absl::Status OnItem(size_t command, const ReplyItem& item) override;
  void OnDone(const absl::Status& status) override;

  const bool existed_;
  const bool asking_;
  WriteResults* const results_;
  std::vector<Step> steps_;  // of each command
  size_t answered_ = 0;
};

// One SCAN, and which run of the server it was asked of: its cursors are places in
// a table that another run fills otherwise.
class ScanCall final : public WaitingCall {
 public:
  ScanCall(uint64_t cursor, size_t count);

  // After Wait(). An error that the server answered with.
  absl::Status status() const { return Unshared(status_); }
  const std::string& run_id() const { return run_id_; }
  ScanReply& reply() { return reply_; }

 private:
  absl::Status OnItem(size_t command, const ReplyItem& item) override;
  void OnRetry() override;

  absl::Status status_;
  std::string run_id_;
  ScanReply reply_;
};

// A command that is answered by a number.
class NumberCall final : public WaitingCall {
 public:
  explicit NumberCall(absl::string_view command) { AddCommand({command}); }

  // After Wait().
  absl::Status status() const { return Unshared(status_); }
  int64_t number() const { return number_; }

 private:
  absl::Status OnItem(size_t command, const ReplyItem& item) override;

  absl::Status status_;
  int64_t number_ = 0;
};

}  // namespace resp_client
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_STORE_CALLS_H_
