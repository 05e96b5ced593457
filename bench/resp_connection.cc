#include "bench/resp_connection.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/resp/client/client.h"
#include "net/resp/client/command.h"
#include "net/resp/client/scan_reply.h"
#include "storage/store.h"

namespace kvarts {
namespace {

using resp_client::NonsenseError;
using resp_client::ReplyItem;
using Kind = ReplyItem::Kind;

class RespCall final : public BenchCall {
 public:
  RespCall(std::shared_ptr<resp_client::Client> client, const RunControl* control)
      : BenchCall(control), client_(std::move(client)) {}

 private:
  class Call final : public resp_client::Call {
   public:
    explicit Call(RespCall* owner) : owner_(owner) {}

   private:
    absl::Status OnItem(size_t, const ReplyItem& item) override { return owner_->Take(item); }
    void OnRetry() override { owner_->Clear(); }
    void OnDone(const absl::Status& status) override { owner_->Done(status); }

    RespCall* const owner_;
  };

  void Begin() override {
    cursor_ = 0;
    scan_.Clear();
    scan_reads_ = false;
  }
  void Send() override;
  void Clear();
  absl::Status Take(const ReplyItem& item);
  absl::Status TakeValue(const ReplyItem& item);
  absl::Status TakeScanned(const ReplyItem& item);
  void Done(const absl::Status& status);

  const std::shared_ptr<resp_client::Client> client_;

  absl::Status status_;  // that the server answered with
  size_t answered_ = 0;  // keys of a read
  uint64_t cursor_ = 0;  // of a scan
  resp_client::ScanReply scan_;
  bool scan_reads_ = false;  // it has keys, and asks for their values
  size_t scan_bytes_ = 0;
};

void RespCall::Send() {
  auto call = std::make_shared<Call>(this);
  const BenchRequest& wanted = request();
  std::vector<absl::string_view> mget = {"MGET"};
  switch (wanted.operation) {
    case Operation::kGet:
      call->AddCommand({"GET", wanted.keys[0]});
      break;
    case Operation::kMultiGet:
      mget.insert(mget.end(), wanted.keys.begin(), wanted.keys.end());
      call->AddCommand(mget);
      break;
    case Operation::kPut:
    case Operation::kInsert:
      call->AddCommand({"SET", wanted.keys[0], wanted.value});
      call->SetIsWrite();
      break;
    case Operation::kDelete:
      call->AddCommand({"DEL", wanted.keys[0]});
      call->SetIsWrite();
      break;
    case Operation::kScan:
      if (scan_reads_) {
        mget.insert(mget.end(), scan_.keys().begin(), scan_.keys().end());
        call->AddCommand(mget);
      } else {
        call->AddCommand({"SCAN", absl::StrCat(cursor_), "COUNT", absl::StrCat(entries_left())});
      }
      break;
  }
  Clear();
  client_->Start(std::move(call), options().timeout);
}

void RespCall::Clear() {
  status_ = absl::OkStatus();
  answered_ = scan_bytes_ = 0;
  if (is_read()) results().Reset(request().keys.size());
  if (!scan_reads_) scan_.Clear();
}

absl::Status RespCall::Take(const ReplyItem& item) {
  if (item.kind == Kind::kError && item.depth == 0) {
    status_ = resp_client::ErrorStatus(item.text);
    return absl::OkStatus();
  }
  bool fits = false;
  switch (request().operation) {
    case Operation::kGet:
      return item.depth == 0 ? TakeValue(item) : NonsenseError();
    case Operation::kMultiGet:
      if (item.depth == 1) return TakeValue(item);
      fits =
          item.kind == Kind::kArray && item.number == static_cast<int64_t>(request().keys.size());
      break;
    case Operation::kPut:
    case Operation::kInsert:
      fits = item.kind == Kind::kSimple;
      break;
    case Operation::kDelete:
      fits = item.kind == Kind::kInteger;
      break;
    case Operation::kScan:
      return scan_reads_ ? TakeScanned(item) : scan_.Take(item);
  }
  return fits && item.depth == 0 ? absl::OkStatus() : NonsenseError();
}

absl::Status RespCall::TakeValue(const ReplyItem& item) {
  ReadResult& result = results().mutable_result(answered_++);
  if (item.kind == Kind::kBulk) {
    result.found = true;
    result.value = results().bytes().Copy(item.text);
  } else if (item.kind == Kind::kError) {
    result.status = resp_client::ErrorStatus(item.text);
  } else if (item.kind != Kind::kNull) {
    return NonsenseError();
  }
  return absl::OkStatus();
}

// A value of a key that a scan gave; null where it is gone since, or no string.
absl::Status RespCall::TakeScanned(const ReplyItem& item) {
  if (item.depth == 0) return item.kind == Kind::kArray ? absl::OkStatus() : NonsenseError();
  if (item.kind != Kind::kBulk && item.kind != Kind::kNull) return NonsenseError();
  scan_bytes_ += item.text.size();
  return absl::OkStatus();
}

void RespCall::Done(const absl::Status& status) {
  const absl::Status& answer = status.ok() ? status_ : status;
  if (request().operation == Operation::kScan && answer.ok()) {
    cursor_ = scan_.next();
    if (!scan_reads_ && !scan_.keys().empty()) {
      scan_reads_ = true;
      return Send();
    }
    Scanned(scan_.keys().size(), scan_bytes_, cursor_ == 0);
  }
  scan_reads_ = false;
  Ended(answer);
}

class RespConnection final : public BenchConnection {
 public:
  explicit RespConnection(std::shared_ptr<resp_client::Client> client)
      : client_(std::move(client)) {}

  void Open(OpenCallback done) override { client_->Open(std::move(done)); }
  std::unique_ptr<BenchCall> NewCall(const RunControl* control) override {
    return std::make_unique<RespCall>(client_, control);
  }
  void Shutdown() override { client_->Shutdown(); }

 private:
  const std::shared_ptr<resp_client::Client> client_;
};

}  // namespace

BenchConnectionFactory RespConnections(Transport* transport, absl::string_view address,
                                       absl::string_view password, absl::Duration connect_timeout) {
  resp_client::ClientOptions options;
  options.password = std::string(password);
  options.connect_timeout = connect_timeout;
  return [transport, address = std::string(address), options](EventLoop* loop) {
    return std::make_unique<RespConnection>(
        resp_client::Client::New(transport, loop, address, options));
  };
}

}  // namespace kvarts
