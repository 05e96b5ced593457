#include "net/resp/client/client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "net/resp/client/command.h"

namespace kvarts {
namespace resp_client {
namespace {

// What a server is asked at a time, at most.
constexpr size_t kCallsInFlight = 4096;

}  // namespace

void Call::AddCommand(absl::Span<const absl::string_view> args) {
  AppendCommand(args, &bytes_);
  ++commands_;
}

std::shared_ptr<Client> Client::New(Transport* transport, EventLoop* loop,
                                    absl::string_view address, const ClientOptions& options) {
  return std::shared_ptr<Client>(new Client(transport, loop, address, options));
}

Client::Client(Transport* transport, EventLoop* loop, absl::string_view address,
               const ClientOptions& options)
    : Channel(transport, loop, address, options),
      password_(options.password),
      waits_(options.waits) {}

std::string Client::Hello() {
  parser_ = std::make_unique<ReplyParser>();
  in_flight_.clear();
  std::string hello;
  hello_left_ = 1;
  if (!password_.empty()) {
    AppendCommand({"AUTH", password_}, &hello);
    ++hello_left_;
  }
  AppendCommand({"PING"}, &hello);
  return hello;
}

absl::Status Client::Take(size_t n) {
  parser_->Filled(n);
  absl::Status status = TakeItems();
  // A server that does not know PING will not know it the next time.
  if (hello_left_ > 0 && absl::IsInternal(status)) FailAll(status);
  return status;
}

absl::Status Client::TakeItems() {
  while (is_open()) {
    switch (parser_->Next()) {
      case ReplyParser::Result::kNeedMore:
        return absl::OkStatus();
      case ReplyParser::Result::kError: {
        absl::Status status = absl::InternalError(absl::StrCat("not RESP2: ", parser_->error()));
        // Asked again, it would be answered so again.
        if (!in_flight_.empty()) Fail(in_flight_.front(), status);
        return status;
      }
      case ReplyParser::Result::kItem:
        break;
    }
    const ReplyItem& item = parser_->item();
    absl::Status status = hello_left_ > 0 ? TakeHello(item) : TakeAnswer(item);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Client::TakeHello(const ReplyItem& item) {
  if (item.kind == ReplyItem::Kind::kError) return ErrorStatus(item.text);
  if (item.kind != ReplyItem::Kind::kSimple) return NonsenseError();
  if (--hello_left_ == 0) Ready("");
  return absl::OkStatus();
}

bool Client::Admit(const CallPtr& call) {
  if (in_flight_.size() == kCallsInFlight) return false;
  in_flight_.push_back(std::static_pointer_cast<Call>(call));
  in_flight_.back()->answered_ = 0;
  return true;
}

absl::Status Client::TakeAnswer(const ReplyItem& item) {
  if (in_flight_.empty()) return absl::InternalError("a reply to nothing");
  std::shared_ptr<Call> call = in_flight_.front();
  if (!call->is_done()) {  // else its deadline has passed
    if (absl::Status status = call->OnItem(call->answered_, item); !status.ok()) {
      Fail(call, status);
      return absl::InternalError(status.message());
    }
  }
  if (!item.last || ++call->answered_ < call->commands_) return absl::OkStatus();
  in_flight_.pop_front();
  Complete(std::move(call));
  return absl::OkStatus();
}

}  // namespace resp_client
}  // namespace kvarts
