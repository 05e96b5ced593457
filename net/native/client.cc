#include "net/native/client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/native/wire.h"
#include "storage/store.h"

namespace kvarts {
namespace native {

void ClientCall::SetRequest(const Request& request, absl::Span<const absl::string_view> payload) {
  id_ = request.id();
  if (request.has_write() && request.write().sequence() != 0) resend_ = Resend::kSameSession;
  if (request.operation() == MAINTAIN) {
    resend_ = Resend::kNever;
    waits_ = false;
  }
  size_t size = 0;
  for (const absl::string_view piece : payload) size += piece.size();
  bytes_.reserve(kPrefixBytes + request.ByteSizeLong() + size);
  AppendFrameHead(request, size, &bytes_);
  for (const absl::string_view piece : payload) bytes_.append(piece.data(), piece.size());
}

std::shared_ptr<Client> Client::New(Transport* transport, EventLoop* loop,
                                    absl::string_view address, const ClientOptions& options) {
  return std::shared_ptr<Client>(new Client(transport, loop, address, options));
}

Client::Client(Transport* transport, EventLoop* loop, absl::string_view address,
               const ClientOptions& options)
    : Channel(transport, loop, address, options), options_(options) {}

void Client::Open(OpenCallback done) {
  Channel::Open([this, done = std::move(done)](const absl::Status& status) mutable {
    status.ok() ? done(*hello_) : done(status);
  });
}

void Client::Start(std::shared_ptr<ClientCall> call, absl::Duration timeout) {
  if (!options_.waits) call->waits_ = false;
  Channel::Start(std::move(call), timeout);
}

std::string Client::Hello() {
  got_preamble_ = false;
  got_hello_ = false;
  reader_ = FrameReader(kMaxAnswerHeaderBytes, kMaxAnswerBytes);
  in_flight_.clear();
  ClientHello hello;
  hello.set_client_id(options_.client_id);
  hello.set_password(options_.password);
  hello.add_features(std::string(kMaintenanceFeature));
  for (const std::string& feature : options_.features) hello.add_features(feature);
  std::string bytes;
  AppendPreamble(&bytes);
  AppendFrameHead(hello, 0, &bytes);
  return bytes;
}

absl::Status Client::Take(size_t n) {
  reader_.Filled(n);
  if (!got_preamble_) {
    Versions server;
    absl::StatusOr<bool> whole = reader_.NextPreamble(&server);
    if (!whole.ok() || !*whole) return whole.status();
    got_preamble_ = true;
    absl::StatusOr<uint16_t> version = Agree(Versions(), server);
    if (!version.ok()) return version.status();
  }
  Frame frame;
  while (is_open()) {
    absl::StatusOr<bool> whole = reader_.Next(&frame);
    if (!whole.ok()) return absl::InternalError(whole.status().message());
    if (!*whole) return absl::OkStatus();
    if (absl::Status status = TakeAnswer(frame); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Client::TakeAnswer(const Frame& frame) {
  if (!response_.ParseFromArray(frame.header.data(), static_cast<int>(frame.header.size()))) {
    return absl::InternalError("a frame of the server is no Response message");
  }
  if (response_.id() == 0) {
    absl::Status status = MakeStatus(response_.code(), response_.message());
    if (!status.ok()) return status;
    if (!got_hello_ && response_.has_hello()) return TakeHello();
    return absl::InternalError("a second hello of the server");
  }
  if (!got_hello_) return absl::InternalError("an answer before the server's hello");
  const auto found = in_flight_.find(response_.id());
  if (found == in_flight_.end()) return absl::OkStatus();  // its deadline has passed
  std::shared_ptr<ClientCall> call = found->second;
  if (absl::Status status = call->OnAnswer(response_, frame.payload, &reader_); !status.ok()) {
    return absl::InternalError(status.message());
  }
  if (!response_.more()) Complete(std::move(call));
  return absl::OkStatus();
}

absl::Status Client::TakeHello() {
  // Whether its calls block is the server's own affair.
  const auto has = [](const ServerHello& hello) {
    Capabilities capabilities = FromProto(hello.capabilities());
    capabilities.may_block = true;
    return capabilities;
  };
  const ServerHello& hello = response_.hello();
  // Addresses are used again: what is asked of one cluster must not be done by another.
  const std::string& cluster = options_.cluster_id.empty() && hello_.has_value()
                                   ? hello_->cluster_id()
                                   : options_.cluster_id;
  if (!cluster.empty() && hello.cluster_id() != cluster) {
    return absl::UnavailableError("a server is there that is not of this cluster");
  }
  if (hello_.has_value() && has(hello) != has(*hello_)) {
    return absl::FailedPreconditionError(
        "the server now serves a store that can do other things: open it again");
  }
  for (const std::string& feature : options_.features) {
    if (std::find(hello.features().begin(), hello.features().end(), feature) ==
        hello.features().end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the server does not have the feature \"", feature, "\""));
    }
  }
  got_hello_ = true;
  hello_ = hello;
  Ready(hello.write_session());
  return absl::OkStatus();
}

bool Client::Admit(const CallPtr& call) {
  if (in_flight_.size() >= std::max<uint64_t>(hello_->max_in_flight(), 1)) return false;
  auto ours = std::static_pointer_cast<ClientCall>(call);
  const uint64_t id = ours->id_;
  in_flight_.emplace(id, std::move(ours));
  return true;
}

void Client::DidEnd(const client::Call& call) {
  in_flight_.erase(static_cast<const ClientCall&>(call).id_);
}

}  // namespace native
}  // namespace kvarts
