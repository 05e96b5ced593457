#include "net/resp/client/store_link.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "net/resp/client/store_calls.h"

namespace kvarts {
namespace resp_client {
namespace {

// Of one MGET: a server gathers its reply in memory.
constexpr size_t kKeysPerCall = 128;

// The longest pause before a server is tried again for which nobody waits, while it is asked for.
constexpr absl::Duration kMaxBackoff = absl::Milliseconds(200);

ClientOptions MakeClientOptions(const RespStoreOptions& options, bool waits) {
  ClientOptions out;
  out.waits = waits;
  if (!waits) out.max_backoff = kMaxBackoff;
  out.password = options.password;
  out.connect_timeout = options.connect_timeout;
  return out;
}

}  // namespace

Capabilities CapabilitiesOf(const RespStoreOptions& options) {
  Capabilities has;
  has.write = Support::kNative;
  has.scan = Support::kNative;
  has.slot_scan = Support::kEmulatedLinear;
  if (options.expiry) has.expiry = Support::kNative;
  has.shared_by_processes = true;
  has.bounded_memory = true;
  has.may_block = true;
  return has;
}

absl::Status CheckRead(const ReadOptions& options) {
  if (options.stamp) return absl::UnimplementedError("the store has no conditional writes");
  if (options.snapshot != nullptr) return absl::UnimplementedError("the store has no snapshots");
  return absl::OkStatus();
}

StoreLink::StoreLink(Transport* transport, absl::string_view address,
                     const RespStoreOptions& options, bool waits,
                     std::unique_ptr<EventLoops> own_loops)
    : options_(options),
      own_loops_(std::move(own_loops)),
      loop_(options.loop == nullptr ? own_loops_->loop(0) : options.loop),
      client_(Client::New(transport, loop_, address, MakeClientOptions(options, waits))) {}

absl::StatusOr<std::shared_ptr<StoreLink>> StoreLink::Open(Transport* transport,
                                                           absl::string_view address,
                                                           const RespStoreOptions& options) {
  std::unique_ptr<EventLoops> own_loops;
  if (options.loop == nullptr) {
    KVARTS_ASSIGN_OR_RETURN(own_loops, EventLoops::New(1));
  }
  std::shared_ptr<StoreLink> link(
      new StoreLink(transport, address, options, /*waits=*/true, std::move(own_loops)));
  StatusWaiter opened;
  link->client_->Open([&opened](const absl::Status& status) { opened.Done(status); });
  if (absl::Status status = opened.Wait(); !status.ok()) return status;
  return link;
}

std::shared_ptr<StoreLink> StoreLink::New(Transport* transport, absl::string_view address,
                                          const RespStoreOptions& options) {
  std::shared_ptr<StoreLink> link(
      new StoreLink(transport, address, options, /*waits=*/false, nullptr));
  link->client_->Open([](const absl::Status&) {});
  return link;
}

StoreLink::~StoreLink() {
  const auto end = [this] { client_->Shutdown(); };
  if (!RunOnLoop(loop_, end)) end();
}

void StoreLink::Start(const std::shared_ptr<WaitingCall>& call, absl::Duration timeout) {
  if (loop_->InLoop()) return call->OnDone(OnLoopError());
  client_->Start(call, timeout);
}

void StoreLink::Read(absl::Span<const absl::string_view> keys, bool value, absl::Duration timeout,
                     ReadResults* results) {
  results->Reset(keys.size());
  std::vector<std::shared_ptr<GetCall>> calls;
  std::vector<uint32_t> places;
  const auto start = [&] {
    if (places.empty()) return;
    calls.push_back(std::make_shared<GetCall>(keys, std::move(places), value, expiry(), results));
    places.clear();
    Start(calls.back(), timeout);
  };
  for (size_t i = 0; i < keys.size(); ++i) {
    // No call under way has this place.
    if (absl::Status status = CheckKey(keys[i]); !status.ok()) {
      results->mutable_result(i).status = status;
      continue;
    }
    places.push_back(static_cast<uint32_t>(i));
    if (places.size() == kKeysPerCall) start();
  }
  start();
  // The errors are in the results.
  for (const std::shared_ptr<GetCall>& call : calls) call->Wait().IgnoreError();
}

}  // namespace resp_client
}  // namespace kvarts
