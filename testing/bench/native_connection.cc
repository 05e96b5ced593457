#include "testing/bench/native_call.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "net/native/native.pb.h"
#include "net/native/wire.h"

namespace kvarts {
namespace {

bool IsRead(Operation operation) {
  return operation == Operation::kGet || operation == Operation::kMultiGet;
}

absl::Status Nonsense() {
  return absl::InternalError("the server's answer does not fit the question");
}

}  // namespace

class NativeRequest::Call final : public native::ClientCall {
 public:
  explicit Call(NativeRequest* request) : request_(request) {}

 private:
  absl::Status OnAnswer(const native::Response& response, absl::string_view payload,
                        native::FrameReader*) override {
    return request_->Take(response, payload);
  }
  void OnRetry() override {
    request_->answered_ = 0;
    request_->status_ = absl::OkStatus();
  }
  void OnDone(const absl::Status& status) override { request_->Ended(status); }

  NativeRequest* const request_;
};

void NativeRequest::Start(const BenchRequest* request, std::function<void()> done) {
  request_ = request;
  done_ = std::move(done);
  status_ = absl::OkStatus();
  answered_ = 0;
  scanned_ = scanned_bytes_ = 0;
  scan_ended_ = false;
  position_.clear();
  if (IsRead(request_->operation)) results_.Reset(request_->keys.size());
  Send();
}

void NativeRequest::Send() {
  const absl::Duration timeout = control_->options().timeout;
  native::Request request;
  request.set_id(client_->NewId());
  request.set_timeout_ms(static_cast<uint32_t>(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(timeout), 1, UINT32_MAX)));
  std::vector<absl::string_view> payload;
  const Operation operation = request_->operation;
  if (IsRead(operation)) {
    request.set_operation(native::GET);
    for (const absl::string_view key : request_->keys) {
      request.add_key_sizes(static_cast<uint32_t>(key.size()));
      payload.push_back(key);
    }
  } else if (operation == Operation::kScan) {
    request.set_operation(native::SCAN);
    native::Scan* const scan = request.mutable_scan();
    if (ordered_) scan->set_begin(request_->keys[0].data(), request_->keys[0].size());
    scan->set_resume_after(position_);
    scan->set_max_entries(control_->workload()->options().scan_entries - scanned_);
    scan->set_max_bytes(PageLimits().bytes);
  } else {
    request.set_operation(native::WRITE);
    const native::SequenceWindow::Numbers numbers = client_->writes().Begin();
    sequence_ = numbers.sequence;
    native::Write* const write = request.mutable_write();
    write->set_sequence(numbers.sequence);
    write->set_first_unacknowledged(numbers.first_unacknowledged);
    write->set_unsynced(!control_->options().sync_writes);
    native::Mutation* const mutation = write->add_mutations();
    mutation->set_kind(static_cast<uint32_t>(
        operation == Operation::kDelete ? Mutation::Kind::kDelete : Mutation::Kind::kPut));
    mutation->set_key_size(static_cast<uint32_t>(request_->keys[0].size()));
    mutation->set_value_size(static_cast<uint32_t>(request_->value.size()));
    payload = {request_->keys[0], request_->value};
  }
  auto call = std::make_shared<Call>(this);
  call->SetRequest(request, payload);
  client_->Start(std::move(call), timeout);
}

absl::Status NativeRequest::Take(const native::Response& response, absl::string_view payload) {
  if (response.code() != 0) {
    status_ = native::MakeStatus(response.code(), response.message());
    return response.more() ? Nonsense() : absl::OkStatus();
  }
  if (IsRead(request_->operation)) return TakeRead(response, payload);
  if (request_->operation == Operation::kScan) return TakeScan(response, payload);
  return response.more() ? Nonsense() : absl::OkStatus();
}

absl::Status NativeRequest::TakeRead(const native::Response& response, absl::string_view payload) {
  const auto n = static_cast<size_t>(response.value_sizes_size());
  const bool whole = answered_ + n == request_->keys.size();
  if (n > request_->keys.size() - answered_ || whole == response.more()) return Nonsense();
  absl::string_view left = results_.bytes().Copy(payload);
  for (size_t i = 0; i < n; ++i) {
    ReadResult& result = results_.mutable_result(answered_ + i);
    const uint32_t size = response.value_sizes(static_cast<int>(i));
    result.Clear();
    result.found = size != 0;
    if (size <= 1) continue;
    if (size - 1 > left.size()) return Nonsense();
    result.value = left.substr(0, size - 1);
    left.remove_prefix(size - 1);
  }
  for (const native::ItemError& error : response.errors()) {
    if (error.index() >= n) return Nonsense();
    results_.mutable_result(answered_ + error.index()).status =
        native::MakeStatus(error.code(), error.message());
  }
  answered_ += n;
  return left.empty() ? absl::OkStatus() : Nonsense();
}

absl::Status NativeRequest::TakeScan(const native::Response& response, absl::string_view payload) {
  const int sizes = response.entry_sizes_size();
  if (response.more() || sizes % 2 != 0) return Nonsense();
  size_t keys = 0;
  size_t values = 0;
  for (int i = 0; i < sizes; i += 2) {
    keys += response.entry_sizes(i);
    values += response.entry_sizes(i + 1);
  }
  if (keys + values != payload.size()) return Nonsense();
  scanned_ += static_cast<size_t>(sizes) / 2;
  scanned_bytes_ += values;
  scan_ended_ = sizes == 0;
  position_ = response.position();
  return absl::OkStatus();
}

void NativeRequest::Ended(const absl::Status& status) {
  if (sequence_ != 0) client_->writes().End(sequence_);
  sequence_ = 0;
  if (!status.ok()) status_ = status;
  if (status_.ok() && request_->operation == Operation::kScan && !scan_ended_ &&
      scanned_ < control_->workload()->options().scan_entries) {
    return Send();
  }
  // The next request may begin in there.
  const std::function<void()> done = std::move(done_);
  done();
}

absl::Status NativeRequest::Judged(OperationTally* tally) const {
  const Judge& judge = control_->judge();
  if (request_->operation == Operation::kScan) {
    return judge.Scan(scanned_, scanned_bytes_, status_, tally);
  }
  if (!IsRead(request_->operation)) return judge.Write(*request_, status_, tally);
  if (status_.ok()) return judge.Read(*request_, results_, tally);
  tally->keys += request_->keys.size();
  return status_;
}

}  // namespace kvarts
