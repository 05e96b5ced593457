#include "net/remote/remote_store.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "net/remote/calls.h"
#include "net/remote/link.h"
#include "net/remote/remote_maintenance.h"
#include "net/remote/requests.h"

namespace kvarts {
namespace remote {
namespace {

class RemoteSnapshot final : public Snapshot {
 public:
  RemoteSnapshot(std::shared_ptr<Link> link, uint64_t id, absl::Duration lease)
      : link_(std::move(link)), id_(id) {
    link_->KeepLease(id_, lease);
  }
  ~RemoteSnapshot() override { link_->LetGoLease(id_); }

  const Link* link() const { return link_.get(); }
  uint64_t id() const { return id_; }

 private:
  const std::shared_ptr<Link> link_;
  const uint64_t id_;
};

absl::Status SetSnapshot(const Link* link, const std::shared_ptr<const Snapshot>& snapshot,
                         native::Request* request) {
  if (snapshot == nullptr) return absl::OkStatus();
  const auto* const ours = dynamic_cast<const RemoteSnapshot*>(snapshot.get());
  if (ours == nullptr || ours->link() != link) {
    return absl::InvalidArgumentError("a snapshot of another store");
  }
  request->set_snapshot(ours->id());
  return absl::OkStatus();
}

// Asks for each page with the position behind the last one: it needs no
// connection of its own, and no state on the server.
class RemoteCursor final : public Cursor {
 public:
  RemoteCursor(std::shared_ptr<Link> link, const ScanOptions& options, native::Request request)
      : link_(std::move(link)),
        timeout_(link_->Timeout(options.timeout)),
        snapshot_(options.snapshot),
        request_(std::move(request)) {}

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    page->Reset();
    if (ended_) return absl::OkStatus();
    native::Request fresh = link_->NewRequest(native::SCAN, timeout_);
    request_.set_id(fresh.id());
    request_.set_timeout_ms(fresh.timeout_ms());
    native::Scan* const scan = request_.mutable_scan();
    scan->set_max_entries(std::max<uint64_t>(limits.entries, 1));
    scan->set_max_bytes(std::max<uint64_t>(limits.bytes, 1));
    auto call = std::make_shared<ScanCall>(page);
    call->SetRequest(request_, {});
    link_->Start(call, timeout_);
    call->Wait().IgnoreError();
    if (absl::Status status = call->status(); !status.ok()) {
      page->Reset();
      return status;
    }
    ended_ = page->empty();
    position_ = std::move(call->position());
    scan->set_resume_after(position_);
    return absl::OkStatus();
  }

  std::string position() const override { return position_; }

 private:
  const std::shared_ptr<Link> link_;
  const absl::Duration timeout_;
  const std::shared_ptr<const Snapshot> snapshot_;
  native::Request request_;
  std::string position_;
  bool ended_ = false;
};

class RemoteStore final : public Store {
 public:
  explicit RemoteStore(std::shared_ptr<Link> link)
      : capabilities_(link->capabilities()),
        maintenance_(link->has_maintenance() ? std::make_unique<RemoteMaintenance>(link) : nullptr),
        link_(std::move(link)) {}

  Capabilities capabilities() const override { return capabilities_; }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override;
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override;
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override;
  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override;
  absl::StatusOr<StoreStats> Stats() override;
  absl::Status Sync() override;
  Maintenance* maintenance() override { return maintenance_.get(); }

  // The last call under way, cursor or snapshot ends the connection.
  absl::Status Close() override {
    if (maintenance_ != nullptr) maintenance_->Close();
    std::shared_ptr<Link> link;
    MutexLock lock(&mu_);
    link_.swap(link);
    return absl::OkStatus();
  }

 private:
  // Null after Close().
  std::shared_ptr<Link> link() const {
    MutexLock lock(&mu_);
    return link_;
  }
  absl::Status SendWrite(Link* link, const WriteBatch& batch, std::vector<uint32_t> places,
                         const WriteOptions& options, absl::Duration timeout,
                         WriteResults* results);

  const Capabilities capabilities_;
  const std::unique_ptr<RemoteMaintenance> maintenance_;  // null: the server's store has none
  mutable Mutex mu_;
  std::shared_ptr<Link> link_ ABSL_GUARDED_BY(mu_);
};

void RemoteStore::MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                           ReadResults* results) {
  const std::shared_ptr<Link> link = this->link();
  if (link == nullptr) return results->Fail(keys.size(), ClosedError());
  results->Reset(keys.size());
  const native::ServerHello& server = link->server();
  const absl::Duration timeout = link->Timeout(options.timeout);
  const size_t most_items = capabilities_.atomic_multi_get
                                ? std::min<uint64_t>(server.max_items(), keys.size())
                                : kItemsPerRequest;
  std::vector<std::shared_ptr<GetCall>> calls;
  std::vector<uint32_t> places;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (absl::Status status = CheckKey(keys[i]); status.ok()) {
      places.push_back(static_cast<uint32_t>(i));
    } else {
      results->mutable_result(i).status = status;
    }
  }
  for (auto left = absl::MakeConstSpan(places); !left.empty();) {
    native::Request request = link->NewRequest(native::GET, timeout);
    if (absl::Status status = SetSnapshot(link.get(), options.snapshot, &request); !status.ok()) {
      return results->Fail(keys.size(), status);
    }
    std::vector<absl::string_view> payload;
    const size_t n = AddKeys(keys, left, most_items, server, options, &request, &payload);
    if (n < left.size() && capabilities_.atomic_multi_get) {
      return results->Fail(keys.size(),
                           absl::ResourceExhaustedError(absl::StrCat(
                               keys.size(), " keys are more than the server reads at once")));
    }
    calls.push_back(std::make_shared<GetCall>(
        std::vector<uint32_t>(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(n)),
        options.stamp, results));
    calls.back()->SetRequest(request, payload);
    link->Start(calls.back(), timeout);
    left.remove_prefix(n);
  }
  // The errors are in the results.
  for (const std::shared_ptr<GetCall>& call : calls) call->Wait().IgnoreError();
}

absl::Status RemoteStore::Write(const WriteBatch& batch, const WriteOptions& options,
                                WriteResults* results) {
  const std::shared_ptr<Link> link = this->link();
  if (link == nullptr) return FailWrite(batch, ClosedError(), results);
  if (absl::Status status = CheckBatch(batch, options, capabilities_); !status.ok()) {
    return FailWrite(batch, status, results);
  }
  WriteResults own;
  if (results == nullptr) results = &own;
  const auto mutations = batch.mutations();
  results->results.assign(mutations.size(), WriteResult());
  results->failed_precondition = -1;
  const absl::Duration timeout = link->Timeout(options.timeout);
  std::vector<uint32_t> places;
  if (options.atomic) {
    for (uint32_t i = 0; i < mutations.size(); ++i) places.push_back(i);
    return SendWrite(link.get(), batch, std::move(places), options, timeout, results);
  }
  // One request after the other: mutations of one key keep their order.
  const absl::Time deadline = absl::Now() + timeout;
  for (uint32_t i = 0; i < mutations.size(); ++i) {
    results->results[i].status = CheckMutation(mutations[i], capabilities_);
    if (results->results[i].status.ok()) places.push_back(i);
  }
  for (auto left = absl::MakeConstSpan(places); !left.empty();) {
    const size_t n = CountThatFit(batch, left, link->server());
    // Each outcome is in the results.
    SendWrite(link.get(), batch, {left.begin(), left.begin() + static_cast<std::ptrdiff_t>(n)},
              options, deadline - absl::Now(), results)
        .IgnoreError();
    left.remove_prefix(n);
  }
  for (const WriteResult& result : results->results) {
    if (!result.status.ok()) return result.status;
  }
  return absl::OkStatus();
}

absl::Status RemoteStore::SendWrite(Link* link, const WriteBatch& batch,
                                    std::vector<uint32_t> places, const WriteOptions& options,
                                    absl::Duration timeout, WriteResults* results) {
  native::Request request = link->NewRequest(native::WRITE, timeout);
  std::vector<absl::string_view> payload;
  if (absl::Status status = AddWrite(batch, places, options, link->server(), &request, &payload);
      !status.ok()) {
    return FailWrite(batch, status, results);
  }
  native::SequenceWindow& window = link->client().writes();
  const native::SequenceWindow::Numbers numbers = window.Begin();
  request.mutable_write()->set_sequence(numbers.sequence);
  request.mutable_write()->set_first_unacknowledged(numbers.first_unacknowledged);
  auto call = std::make_shared<WriteCall>(std::move(places), results);
  call->SetRequest(request, payload);
  link->Start(call, timeout);
  absl::Status status = call->Wait();
  window.End(numbers.sequence);
  return status;
}

absl::StatusOr<std::unique_ptr<Cursor>> RemoteStore::NewCursor(const ScanOptions& options) {
  std::shared_ptr<Link> link = this->link();
  if (link == nullptr) return ClosedError();
  KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities_));
  native::Request request;
  request.set_operation(native::SCAN);
  KVARTS_RETURN_IF_ERROR(SetSnapshot(link.get(), options.snapshot, &request));
  AddScan(options, &request);
  return std::unique_ptr<Cursor>(
      std::make_unique<RemoteCursor>(std::move(link), options, std::move(request)));
}

absl::StatusOr<std::shared_ptr<const Snapshot>> RemoteStore::GetSnapshot() {
  std::shared_ptr<Link> link = this->link();
  if (link == nullptr) return ClosedError();
  const absl::Duration timeout = link->Timeout(absl::InfiniteDuration());
  KVARTS_ASSIGN_OR_RETURN(const native::Response answer,
                          link->Ask(link->NewRequest(native::SNAPSHOT, timeout), timeout));
  if (answer.snapshot() == 0) return absl::InternalError("the server's answer names no snapshot");
  return std::shared_ptr<const Snapshot>(std::make_shared<RemoteSnapshot>(
      std::move(link), answer.snapshot(),
      absl::Milliseconds(std::min<uint64_t>(answer.lease_ms(), 1 << 30))));
}

absl::StatusOr<StoreStats> RemoteStore::Stats() {
  const std::shared_ptr<Link> link = this->link();
  if (link == nullptr) return ClosedError();
  const absl::Duration timeout = link->Timeout(absl::InfiniteDuration());
  KVARTS_ASSIGN_OR_RETURN(const native::Response answer,
                          link->Ask(link->NewRequest(native::STATS, timeout), timeout));
  return ToStoreStats(answer.stats());
}

absl::Status RemoteStore::Sync() {
  const std::shared_ptr<Link> link = this->link();
  if (link == nullptr) return ClosedError();
  const absl::Duration timeout = link->Timeout(absl::InfiniteDuration());
  return link->Ask(link->NewRequest(native::SYNC, timeout), timeout).status();
}

}  // namespace
}  // namespace remote

absl::StatusOr<std::unique_ptr<Store>> OpenRemoteStore(Transport* transport,
                                                       absl::string_view address,
                                                       const RemoteOptions& options) {
  KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<remote::Link> link,
                          remote::Link::Open(transport, address, options));
  return std::unique_ptr<Store>(std::make_unique<remote::RemoteStore>(std::move(link)));
}

}  // namespace kvarts
