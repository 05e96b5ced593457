#include "net/remote/remote_store.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "net/native/frame.h"
#include "net/remote/calls.h"
#include "net/remote/link.h"
#include "net/remote/remote_maintenance.h"

namespace kvarts {
namespace remote {
namespace {

// A longer MultiGet, or batch of independent writes, goes as several requests.
constexpr size_t kItemsPerRequest = 8 << 10;
// At least what one mutation's message and one key's size take of a header.
constexpr size_t kHeaderBytesPerMutation = 64;
constexpr size_t kHeaderBytesPerKey = 5;

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
    absl::Status status = call->Wait();
    if (status.ok()) status = call->status();
    if (!status.ok()) {
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
  for (size_t i = 0; i < keys.size();) {
    native::Request request = link->NewRequest(native::GET, timeout);
    request.set_keys_only(!options.value);
    request.set_stamps(options.stamp);
    request.set_metadata(true);
    if (absl::Status status = SetSnapshot(link.get(), options.snapshot, &request); !status.ok()) {
      return results->Fail(keys.size(), status);
    }
    std::vector<uint32_t> places;
    std::vector<absl::string_view> payload;
    size_t bytes = native::kPrefixBytes + kHeaderRest;
    for (; i < keys.size() && places.size() < most_items; ++i) {
      if (absl::Status status = CheckKey(keys[i]); !status.ok()) {
        results->mutable_result(i).status = status;
        continue;
      }
      bytes += keys[i].size() + kHeaderBytesPerKey;
      if (!places.empty() && bytes > server.max_frame_bytes()) break;
      places.push_back(static_cast<uint32_t>(i));
      payload.push_back(keys[i]);
      request.add_key_sizes(static_cast<uint32_t>(keys[i].size()));
    }
    if (i < keys.size() && capabilities_.atomic_multi_get) {
      return results->Fail(keys.size(),
                           absl::ResourceExhaustedError(absl::StrCat(
                               keys.size(), " keys are more than the server reads at once")));
    }
    if (places.empty()) break;
    calls.push_back(std::make_shared<GetCall>(std::move(places), options.stamp, results));
    calls.back()->SetRequest(request, payload);
    link->Start(calls.back(), timeout);
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
  for (uint32_t i = 0; i < mutations.size();) {
    size_t bytes = native::kPrefixBytes + kHeaderRest;
    places.clear();
    for (; i < mutations.size() && places.size() < kItemsPerRequest; ++i) {
      const Mutation& m = mutations[i];
      if (absl::Status status = CheckMutation(m, capabilities_); !status.ok()) {
        results->results[i].status = status;
        continue;
      }
      bytes += m.key.size() + m.value.size() + m.metadata.type.size() + kHeaderBytesPerMutation;
      if (!places.empty() && bytes > link->server().max_frame_bytes()) break;
      places.push_back(i);
    }
    if (places.empty()) break;
    // Each outcome is in the results.
    SendWrite(link.get(), batch, places, options, deadline - absl::Now(), results).IgnoreError();
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
  native::Write* const write = request.mutable_write();
  write->set_atomic(options.atomic);
  write->set_unsynced(!options.sync);
  write->set_report_existed(options.report_existed);
  std::vector<absl::string_view> payload;
  for (const uint32_t place : places) {
    const Mutation& m = batch.mutations()[place];
    native::Mutation* const out = write->add_mutations();
    out->set_kind(static_cast<uint32_t>(m.kind));
    out->set_key_size(static_cast<uint32_t>(m.key.size()));
    out->set_value_size(static_cast<uint32_t>(m.value.size()));
    out->set_expiry(static_cast<uint32_t>(m.metadata.expiry));
    out->set_expires_at_ms(m.metadata.expires_at_ms);
    out->set_content_type(static_cast<uint32_t>(m.metadata.content_type));
    out->set_content_type_size(static_cast<uint32_t>(m.metadata.type.size()));
    payload.push_back(m.key);
    payload.push_back(m.value);
    payload.push_back(m.metadata.type);
  }
  for (const Precondition& p : batch.preconditions()) {
    native::Precondition* const out = write->add_preconditions();
    out->set_kind(static_cast<uint32_t>(p.kind));
    out->set_key_size(static_cast<uint32_t>(p.key.size()));
    out->set_stamp_high(p.stamp.high);
    out->set_stamp_low(p.stamp.low);
    payload.push_back(p.key);
  }
  const native::ServerHello& server = link->server();
  const size_t header = request.ByteSizeLong() + kHeaderRest;
  size_t bytes = native::kPrefixBytes + header;
  for (const absl::string_view piece : payload) bytes += piece.size();
  const size_t items = places.size() + batch.preconditions().size();
  if (bytes > server.max_frame_bytes() || header > server.max_header_bytes() ||
      items > server.max_items()) {
    // The capabilities let no atomic batch come so far: one mutation is too large.
    return FailWrite(batch,
                     absl::ResourceExhaustedError(
                         absl::StrCat("a batch of ", items, " mutations and conditions in ", bytes,
                                      " bytes; the server takes at most ", server.max_items(),
                                      " in ", server.max_frame_bytes(), " bytes")),
                     results);
  }
  native::SequenceWindow& window = link->client().writes();
  const native::SequenceWindow::Numbers numbers = window.Begin();
  write->set_sequence(numbers.sequence);
  write->set_first_unacknowledged(numbers.first_unacknowledged);
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
  request.set_keys_only(options.keys_only);
  request.set_metadata(true);
  KVARTS_RETURN_IF_ERROR(SetSnapshot(link.get(), options.snapshot, &request));
  native::Scan* const scan = request.mutable_scan();
  scan->set_begin(options.range.begin);
  scan->set_end(options.range.end);
  for (const SlotRange& range : options.slots) {
    scan->add_slots(range.first);
    scan->add_slots(range.last);
  }
  scan->set_backward(options.backward);
  scan->set_resume_after(options.resume_after);
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
  const native::Stats& stats = answer.stats();
  StoreStats out;
  out.entries = stats.entries();
  out.entries_exact = stats.entries_exact();
  out.memory_bytes = stats.memory_bytes();
  out.disk_bytes = stats.disk_bytes();
  if (stats.has_saved_at_ms()) out.saved_at_ms = stats.saved_at_ms();
  out.save_error = stats.save_error();
  const int details = std::min(stats.names_size(), stats.values_size());
  for (int i = 0; i < details; ++i) out.details.emplace_back(stats.names(i), stats.values(i));
  return out;
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
