#include "net/remote/link.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "net/native/frame.h"

namespace kvarts {
namespace remote {
namespace {

// Nobody waits for it.
class LeaseCall final : public native::ClientCall {
  absl::Status OnAnswer(const native::Response&, absl::string_view, native::FrameReader*) override {
    return absl::OkStatus();
  }
  void OnDone(const absl::Status&) override {}
};

native::ClientOptions MakeClientOptions(const RemoteOptions& options) {
  native::ClientOptions out;
  out.client_id = NewClientId();
  out.password = options.password;
  out.connect_timeout = options.connect_timeout;
  return out;
}

}  // namespace

LeaseKeeper::LeaseKeeper(std::shared_ptr<native::Client> client)
    : client_(std::move(client)), timer_(client_->loop()->NewTimer()) {}

// Three tries a lease.
void LeaseKeeper::Keep(uint64_t id, absl::Duration lease) {
  const bool first = ids_.empty();
  ids_.insert(id);
  period_ = std::max(lease / 3, absl::Milliseconds(1));
  if (first) timer_->Start(period_, [this] { Renew(); });
}

void LeaseKeeper::LetGo(uint64_t id) {
  if (ids_.erase(id) == 0) return;
  if (ids_.empty()) timer_->Cancel();
  Send(native::RELEASE, id);
}

void LeaseKeeper::Renew() {
  for (const uint64_t id : ids_) Send(native::RENEW, id);
  timer_->Start(period_, [this] { Renew(); });
}

void LeaseKeeper::Send(native::Operation operation, uint64_t id) {
  native::Request request;
  request.set_id(client_->NewId());
  request.set_operation(operation);
  request.set_snapshot(id);
  auto call = std::make_shared<LeaseCall>();
  call->SetRequest(request, {});
  client_->Start(std::move(call), period_);
}

Link::Link(Transport* transport, absl::string_view address, const RemoteOptions& options,
           std::unique_ptr<EventLoops> own_loops)
    : own_transport_(options.own_transport),
      timeout_(options.timeout),
      own_loops_(std::move(own_loops)),
      loop_(options.loop == nullptr ? own_loops_->loop(0) : options.loop),
      client_(native::Client::New(transport, loop_, address, MakeClientOptions(options))) {}

absl::StatusOr<std::shared_ptr<Link>> Link::Open(Transport* transport, absl::string_view address,
                                                 const RemoteOptions& options) {
  std::unique_ptr<EventLoops> own_loops;
  if (options.loop == nullptr) {
    KVARTS_ASSIGN_OR_RETURN(own_loops, EventLoops::New(1));
  }
  std::shared_ptr<Link> link(new Link(transport, address, options, std::move(own_loops)));
  absl::Status status = link->Handshake();
  if (!status.ok()) return status;
  return link;
}

absl::Status Link::Handshake() {
  StatusWaiter opened;
  client_->Open([this, &opened](absl::StatusOr<native::ServerHello> hello) {
    const absl::Status status = hello.status();
    if (status.ok()) server_ = *std::move(hello);
    opened.Done(status);
  });
  if (absl::Status status = opened.Wait(); !status.ok()) return status;
  capabilities_ = CapabilitiesOver(server_);
  return absl::OkStatus();
}

Link::~Link() {
  const auto end = [this] {
    leases_.reset();
    client_->Shutdown();
  };
  if (!RunOnLoop(loop_, end)) end();
}

bool Link::has_maintenance() const {
  const auto& features = server_.features();
  return std::find(features.begin(), features.end(), native::kMaintenanceFeature) != features.end();
}

void Link::Start(const std::shared_ptr<WaitingCall>& call, absl::Duration timeout) {
  if (loop_->InLoop()) return call->OnDone(OnLoopError());
  client_->Start(call, timeout);
}

absl::StatusOr<native::Response> Link::Ask(const native::Request& request, absl::Duration timeout) {
  auto call = std::make_shared<HeaderCall>();
  call->SetRequest(request, {});
  Start(call, timeout);
  return call->WaitForResponse();
}

// The keeper is made, used and destroyed on the loop; ~Link() comes behind
// every task posted here.
void Link::KeepLease(uint64_t id, absl::Duration lease) {
  loop_->Post([this, id, lease] {
    if (leases_ == nullptr) leases_ = std::make_unique<LeaseKeeper>(client_);
    leases_->Keep(id, lease);
  });
}

void Link::LetGoLease(uint64_t id) {
  loop_->Post([this, id] {
    if (leases_ != nullptr) leases_->LetGo(id);
  });
}

}  // namespace remote
}  // namespace kvarts
