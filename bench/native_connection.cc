#include "bench/native_connection.h"

#include <memory>
#include <utility>
#include <vector>

#include "net/native/client.h"
#include "net/native/native.pb.h"
#include "net/native/wire.h"
#include "net/remote/requests.h"
#include "storage/store.h"

namespace kvarts {
namespace {

absl::Status Nonsense() {
  return absl::InternalError("the server's answer does not fit the question");
}

class NativeCall final : public BenchCall {
 public:
  // `ordered`: the server's store can scan from a key on.
  NativeCall(std::shared_ptr<native::Client> client, const RunControl* control, bool ordered)
      : BenchCall(control), client_(std::move(client)), ordered_(ordered) {}

 private:
  class Call final : public native::ClientCall {
   public:
    explicit Call(NativeCall* owner) : owner_(owner) {}

   private:
    absl::Status OnAnswer(const native::Response& response, absl::string_view payload,
                          native::FrameReader*) override {
      return owner_->Take(response, payload);
    }
    void OnRetry() override {
      owner_->answered_ = 0;
      owner_->status_ = absl::OkStatus();
    }
    void OnDone(const absl::Status& status) override { owner_->Done(status); }

    NativeCall* const owner_;
  };

  void Begin() override { position_.clear(); }
  void Send() override;
  absl::Status Take(const native::Response& response, absl::string_view payload);
  absl::Status TakeRead(const native::Response& response, absl::string_view payload);
  absl::Status TakeScan(const native::Response& response, absl::string_view payload);
  void Done(const absl::Status& status);

  const std::shared_ptr<native::Client> client_;
  const bool ordered_;

  absl::Status status_;    // that the server answered with
  size_t answered_ = 0;    // keys of a read
  uint64_t sequence_ = 0;  // of a write; 0: none is under way
  std::string position_;   // of a scan
};

void NativeCall::Send() {
  status_ = absl::OkStatus();
  answered_ = 0;
  const absl::Duration timeout = options().timeout;
  const BenchRequest& wanted = this->request();
  const Operation operation = wanted.operation;
  native::Request request = remote::NewRequest(client_.get(),
                                               is_read()                       ? native::GET
                                               : operation == Operation::kScan ? native::SCAN
                                                                               : native::WRITE,
                                               timeout);
  std::vector<absl::string_view> payload;
  if (is_read()) {
    for (const absl::string_view key : wanted.keys) {
      request.add_key_sizes(static_cast<uint32_t>(key.size()));
      payload.push_back(key);
    }
  } else if (operation == Operation::kScan) {
    native::Scan* const scan = request.mutable_scan();
    if (ordered_) scan->set_begin(wanted.keys[0].data(), wanted.keys[0].size());
    scan->set_resume_after(position_);
    scan->set_max_entries(entries_left());
    scan->set_max_bytes(PageLimits().bytes);
  } else {
    const native::SequenceWindow::Numbers numbers = client_->writes().Begin();
    sequence_ = numbers.sequence;
    native::Write* const write = request.mutable_write();
    write->set_sequence(numbers.sequence);
    write->set_first_unacknowledged(numbers.first_unacknowledged);
    write->set_unsynced(!options().sync_writes);
    native::Mutation* const mutation = write->add_mutations();
    mutation->set_kind(static_cast<uint32_t>(
        operation == Operation::kDelete ? Mutation::Kind::kDelete : Mutation::Kind::kPut));
    mutation->set_key_size(static_cast<uint32_t>(wanted.keys[0].size()));
    mutation->set_value_size(static_cast<uint32_t>(wanted.value.size()));
    payload = {wanted.keys[0], wanted.value};
  }
  auto call = std::make_shared<Call>(this);
  call->SetRequest(request, payload);
  client_->Start(std::move(call), timeout);
}

absl::Status NativeCall::Take(const native::Response& response, absl::string_view payload) {
  if (response.code() != 0) {
    status_ = native::MakeStatus(response.code(), response.message());
    return response.more() ? Nonsense() : absl::OkStatus();
  }
  if (is_read()) return TakeRead(response, payload);
  if (request().operation == Operation::kScan) return TakeScan(response, payload);
  return response.more() ? Nonsense() : absl::OkStatus();
}

absl::Status NativeCall::TakeRead(const native::Response& response, absl::string_view payload) {
  const auto n = static_cast<size_t>(response.value_sizes_size());
  const bool whole = answered_ + n == request().keys.size();
  if (n > request().keys.size() - answered_ || whole == response.more()) return Nonsense();
  absl::string_view left = results().bytes().Copy(payload);
  for (size_t i = 0; i < n; ++i) {
    ReadResult& result = results().mutable_result(answered_ + i);
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
    results().mutable_result(answered_ + error.index()).status =
        native::MakeStatus(error.code(), error.message());
  }
  answered_ += n;
  return left.empty() ? absl::OkStatus() : Nonsense();
}

absl::Status NativeCall::TakeScan(const native::Response& response, absl::string_view payload) {
  const int sizes = response.entry_sizes_size();
  if (response.more() || sizes % 2 != 0) return Nonsense();
  size_t keys = 0;
  size_t values = 0;
  for (int i = 0; i < sizes; i += 2) {
    keys += response.entry_sizes(i);
    values += response.entry_sizes(i + 1);
  }
  if (keys + values != payload.size()) return Nonsense();
  Scanned(static_cast<size_t>(sizes) / 2, values, sizes == 0);
  position_ = response.position();
  return absl::OkStatus();
}

void NativeCall::Done(const absl::Status& status) {
  if (sequence_ != 0) client_->writes().End(sequence_);
  sequence_ = 0;
  Ended(status.ok() ? status_ : status);
}

class NativeConnection final : public BenchConnection {
 public:
  NativeConnection(Transport* transport, EventLoop* loop, absl::string_view address,
                   const native::ClientOptions& options)
      : client_(native::Client::New(transport, loop, address, options)) {}

  void Open(OpenCallback done) override {
    client_->Open(
        [this, done = std::move(done)](const absl::StatusOr<native::ServerHello>& hello) mutable {
          if (hello.ok()) {
            ordered_ = native::FromProto(hello->capabilities()).ordered_scan != Support::kAbsent;
          }
          done(hello.status());
        });
  }
  std::unique_ptr<BenchCall> NewCall(const RunControl* control) override {
    return std::make_unique<NativeCall>(client_, control, ordered_);
  }
  void Shutdown() override { client_->Shutdown(); }

 private:
  const std::shared_ptr<native::Client> client_;
  bool ordered_ = false;  // constant once open
};

}  // namespace

BenchConnectionFactory NativeConnections(Transport* transport, absl::string_view address,
                                         absl::string_view password,
                                         absl::Duration connect_timeout) {
  native::ClientOptions options;
  options.password = std::string(password);
  options.connect_timeout = connect_timeout;
  return [transport, address = std::string(address), options](EventLoop* loop) {
    native::ClientOptions own = options;
    own.client_id = remote::NewClientId();
    return std::make_unique<NativeConnection>(transport, loop, address, own);
  };
}

}  // namespace kvarts
