#include "net/native/server_call.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "net/checkpoint_name.h"
#include "net/native/cluster_wire.h"
#include "net/native/wire.h"
#include "storage/slot_status.h"

namespace kvarts {
namespace native {
namespace {

// Keys that go to the store in one call, where that keeps no promise: bounds
// what a request for many large values makes a copying store hold.
constexpr size_t kKeysAtOnce = 256;
// Of one answer frame: keeps its header far below what a client takes.
constexpr size_t kItemsPerFrame = 8 << 10;
constexpr size_t kMaxPageBytes = 8 << 20;
constexpr size_t kUsualPageBytes = 1 << 20;
// Of the messages of an answer's single errors; those behind it have none.
constexpr size_t kMaxErrorBytes = 1 << 20;
// Of a write that a loop takes apart for a store that does not make it wait: the other
// connections wait meanwhile.
constexpr int kMutationsOnLoop = 4 << 10;
constexpr size_t kBytesOnLoop = 4 << 20;
// Memory of a larger request is not kept for the next.
constexpr size_t kMaxKeptItems = 4 << 10;
constexpr size_t kMaxKeptHeader = 64 << 10;

absl::Status TooMany(size_t items) {
  return absl::InvalidArgumentError(
      absl::StrCat(items, " keys in a request; at most ", kMaxItems, " are allowed"));
}

void AppendValue(absl::string_view value, bool* lent, Output* output) {
  if (value.size() < Output::kLendFrom) {
    output->bytes().append(value.data(), value.size());
  } else {
    output->Lend(value);
    *lent = true;
  }
}

bool IsElsewhere(const absl::Status& status) { return IsMoved(status) || IsSlotDown(status); }

// True where not one mutation was applied, as this server does not hold their slots.
bool WasNotTried(const absl::Status& status, const WriteResults& results) {
  return IsElsewhere(status) &&
         std::all_of(results.results.begin(), results.results.end(),
                     [](const WriteResult& r) { return IsElsewhere(r.status); });
}

}  // namespace

absl::Status ServerCall::Parse(const Frame& frame, bool speaks_cluster) {
  if (!request_.ParseFromArray(frame.header.data(), static_cast<int>(frame.header.size()))) {
    return absl::InvalidArgumentError(
        absl::StrCat("a frame's header of ", frame.header.size(), " bytes is no Request message"));
  }
  if (request_.id() == 0) return absl::InvalidArgumentError("a request with id 0");
  payload_ = frame.payload;
  large_ = frame.header.size() > kMaxKeptHeader;
  response_.Clear();
  error_bytes_ = 0;
  deadline_ = request_.timeout_ms() == 0 || !state_->capabilities.may_block
                  ? absl::InfiniteFuture()
                  : absl::Now() + absl::Milliseconds(request_.timeout_ms());
  runs_ = true;
  switch (request_.operation()) {
    case GET:
      if (request_.key_sizes_size() > static_cast<int>(kMaxItems)) {
        Refuse(TooMany(static_cast<size_t>(request_.key_sizes_size())));
        return absl::OkStatus();
      }
      if (absl::Status status = ReadKeys(request_, payload_, &keys_); !status.ok()) Refuse(status);
      return absl::OkStatus();
    case WRITE: {
      if (!request_.has_write()) {
        Refuse(absl::InvalidArgumentError("a WRITE without its message"));
        return absl::OkStatus();
      }
      const auto items = static_cast<size_t>(request_.write().mutations_size()) +
                         static_cast<size_t>(request_.write().preconditions_size());
      if (items > kMaxItems) Refuse(TooMany(items));
      return absl::OkStatus();
    }
    case SCAN:
    case SNAPSHOT:
    case RELEASE:
    case STATS:
    case SYNC:
      return absl::OkStatus();
    case RENEW:
      Refuse(state_->leases.Renew(request_.snapshot()));
      response_.set_lease_ms(
          static_cast<uint64_t>(absl::ToInt64Milliseconds(state_->leases.lease())));
      return absl::OkStatus();
    case PING:
      runs_ = false;
      return absl::OkStatus();
    case MAINTAIN:
      if (state_->store->maintenance() == nullptr) {
        Refuse(absl::UnimplementedError("the store has no files of its own to care for"));
      } else if (absl::Status status = CheckCheckpointName(request_.maintain().name());
                 !status.ok()) {
        Refuse(status);
      }
      return absl::OkStatus();
    case CLUSTER:
      // The newest map is at hand: neither the store nor a thread is needed for it.
      runs_ = false;
      if (!speaks_cluster) {
        Refuse(absl::UnimplementedError("the hellos did not agree on the feature \"cluster\""));
      } else {
        *response_.mutable_cluster() = ToProto(*state_->options.cluster->map());
        large_ = true;
      }
      return absl::OkStatus();
    default:
      Refuse(absl::UnimplementedError(
          absl::StrCat("the server has no operation ", static_cast<int>(request_.operation()))));
      return absl::OkStatus();
  }
}

void ServerCall::Refuse(const absl::Status& status) {
  runs_ = false;
  SetStatus(status, &response_);
}

void ServerCall::Execute(RetryClient* client) {
  if (IsLate(client)) return;
  switch (request_.operation()) {
    case GET:
      return Get(/*no_wait=*/false);
    case WRITE:
      if (!BeginWrite(client)) return;
      return EndWrite(state_->store->Write(write_.batch, write_.options, &write_.results), client);
    case SCAN:
      return DoScan();
    case SNAPSHOT:
      return DoSnapshot();
    case RELEASE:
      return state_->leases.Release(request_.snapshot());
    case STATS:
      return DoStats();
    case MAINTAIN:
      return DoMaintain();
    default:
      return SetStatus(state_->store->Sync(), &response_);
  }
}

ServerCall::Next ServerCall::TryToExecute(RetryClient* client) {
  switch (request_.operation()) {
    case GET:
      if (keys_.size() > kKeysAtOnce) return Next::kExecute;
      if (IsLate(client)) return Next::kEncode;
      Get(/*no_wait=*/true);
      for (size_t i = 0; i < results_used_; ++i) {
        const bool waits =
            std::any_of(results_[i]->begin(), results_[i]->end(), [](const ReadResult& r) {
              // A slot that nobody serves is served by no disk either.
              return absl::IsUnavailable(r.status) && !IsSlotDown(r.status);
            });
        if (!waits) continue;
        results_used_ = 0;
        return Next::kExecute;
      }
      return Next::kEncode;
    case WRITE:
      if (request_.write().mutations_size() > kMutationsOnLoop || payload_.size() > kBytesOnLoop) {
        return Next::kExecute;
      }
      if (IsLate(client) || !BeginWrite(client)) return Next::kEncode;
      return Next::kSubmit;
    default:
      return Next::kExecute;
  }
}

bool ServerCall::IsLate(RetryClient* client) {
  if (deadline_ == absl::InfiniteFuture() || deadline_ > absl::Now()) return false;
  SetStatus(absl::DeadlineExceededError("the deadline passed before the server began"), &response_);
  if (sequence() != 0) client->Undo(sequence(), response_.SerializeAsString());
  return true;
}

absl::Duration ServerCall::TimeLeft() const {
  if (request_.timeout_ms() == 0) return absl::InfiniteDuration();
  if (deadline_ == absl::InfiniteFuture()) return absl::Milliseconds(request_.timeout_ms());
  return deadline_ - absl::Now();
}

absl::Status ServerCall::FindSnapshot(std::shared_ptr<const Snapshot>* snapshot) const {
  if (request_.snapshot() == 0) return absl::OkStatus();
  absl::StatusOr<std::shared_ptr<const Snapshot>> found = state_->leases.Find(request_.snapshot());
  if (!found.ok()) return found.status();
  *snapshot = *std::move(found);
  return absl::OkStatus();
}

void ServerCall::Get(bool no_wait) {
  ReadOptions options;
  options.no_wait = no_wait;
  options.value = !request_.keys_only();
  options.stamp = request_.stamps();
  if (request_.timeout_ms() != 0) options.timeout = TimeLeft();
  if (absl::Status status = FindSnapshot(&options.snapshot); !status.ok()) {
    return SetStatus(status, &response_);
  }
  const auto keys = absl::MakeConstSpan(keys_);
  const size_t at_once =
      state_->capabilities.atomic_multi_get ? std::max<size_t>(keys.size(), 1) : kKeysAtOnce;
  size_t bytes = 0;
  for (size_t i = 0; i < keys.size(); i += at_once) {
    if (results_used_ == results_.size()) results_.push_back(std::make_unique<ReadResults>());
    ReadResults* const results = results_[results_used_++].get();
    const auto some = keys.subspan(i, at_once);
    if (bytes > state_->options.max_answer_bytes) {
      results->Fail(some.size(),
                    absl::ResourceExhaustedError(absl::StrCat(
                        "the values before this key's are over ", state_->options.max_answer_bytes,
                        " bytes: ask for fewer at once")));
      continue;
    }
    if (some.size() == 1) {
      state_->store->Read(some[0], options, results);
    } else {
      state_->store->MultiGet(some, options, results);
      for (const ReadResult& result : *results) bytes += result.value.size();
    }
  }
}

bool ServerCall::BeginWrite(RetryClient* client) {
  const Write& write = request_.write();
  write_ = StoreWrite();
  if (absl::Status status = ReadBatch(write, payload_, &write_.batch); !status.ok()) {
    EndWrite(status, client);
    return false;
  }
  write_.options.atomic = write.atomic();
  write_.options.report_existed = write.report_existed();
  write_.options.sync = !write.unsynced();
  write_.options.timeout = TimeLeft();
  return true;
}

void ServerCall::EndWrite(const absl::Status& status, RetryClient* client) {
  const Write& write = request_.write();
  const WriteResults& results = write_.results;
  SetStatus(status, &response_);
  WriteAnswer* const answer = response_.mutable_write();
  const bool all_failed =
      !status.ok() && std::all_of(results.results.begin(), results.results.end(),
                                  [&](const WriteResult& r) { return r.status == status; });
  answer->set_all_failed(all_failed);
  if (!all_failed) {
    for (size_t i = 0; i < results.results.size(); ++i) {
      if (!results.results[i].status.ok()) AddErrorWithin(i, results.results[i].status);
      if (write.report_existed()) answer->add_existed(results.results[i].existed);
    }
  }
  answer->set_failed_precondition(static_cast<uint32_t>(results.failed_precondition + 1));
  if (write.sequence() != 0) {
    const std::string text = response_.SerializeAsString();
    // Where the slot is elsewhere, the write is not this server's to remember: should the slot come
    // back, a repetition is a first time.
    WasNotTried(status, results) ? client->Undo(write.sequence(), text)
                                 : client->Finish(write.sequence(), text);
  }
  write_ = StoreWrite();
}

void ServerCall::DoScan() {
  const Scan& scan = request_.scan();
  ScanOptions options;
  options.range = {scan.begin(), scan.end()};
  options.backward = scan.backward();
  options.keys_only = request_.keys_only();
  options.resume_after = scan.resume_after();
  options.timeout = TimeLeft();
  absl::Status status = FindSnapshot(&options.snapshot);
  if (status.ok() && scan.slots_size() % 2 != 0) {
    status = absl::InvalidArgumentError("an odd number of slots; expected first and last of each");
  }
  for (int i = 0; status.ok() && i < scan.slots_size(); i += 2) {
    const uint32_t first = scan.slots(i);
    const uint32_t last = scan.slots(i + 1);
    if (first >= kSlots || last >= kSlots) {
      status = absl::InvalidArgumentError(
          absl::StrCat("slots ", first, " to ", last, "; expected 0 to ", kSlots - 1));
    } else {
      options.slots.push_back({static_cast<uint16_t>(first), static_cast<uint16_t>(last)});
    }
  }
  PageLimits limits;
  limits.entries =
      std::min<uint64_t>(scan.max_entries() == 0 ? 1000 : scan.max_entries(), kItemsPerFrame);
  limits.bytes =
      std::min<uint64_t>(scan.max_bytes() == 0 ? kUsualPageBytes : scan.max_bytes(), kMaxPageBytes);
  if (page_ == nullptr) page_ = std::make_unique<ScanPage>();
  page_->Reset();
  if (status.ok()) {
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = state_->store->NewCursor(options);
    status = cursor.status();
    if (status.ok()) status = (*cursor)->Next(limits, page_.get());
    if (status.ok()) response_.set_position((*cursor)->position());
  }
  SetStatus(status, &response_);
}

void ServerCall::DoSnapshot() {
  absl::StatusOr<std::shared_ptr<const Snapshot>> snapshot = state_->store->GetSnapshot();
  if (!snapshot.ok()) return SetStatus(snapshot.status(), &response_);
  absl::StatusOr<uint64_t> id = state_->leases.Add(*std::move(snapshot));
  if (!id.ok()) return SetStatus(id.status(), &response_);
  response_.set_snapshot(*id);
  response_.set_lease_ms(static_cast<uint64_t>(absl::ToInt64Milliseconds(state_->leases.lease())));
}

void ServerCall::DoStats() {
  absl::StatusOr<StoreStats> stats = state_->store->Stats();
  if (!stats.ok()) return SetStatus(stats.status(), &response_);
  Stats* const out = response_.mutable_stats();
  out->set_entries(stats->entries);
  out->set_entries_exact(stats->entries_exact);
  out->set_memory_bytes(stats->memory_bytes);
  out->set_disk_bytes(stats->disk_bytes);
  if (stats->saved_at_ms.has_value()) out->set_saved_at_ms(*stats->saved_at_ms);
  out->set_save_error(stats->save_error);
  for (const auto& [name, value] : stats->details) {
    out->add_names(name);
    out->add_values(value);
  }
  if (const Metrics* const metrics = state_->options.all_metrics; metrics != nullptr) {
    out->add_names("requests_served");
    out->add_values(absl::StrCat(metrics->Served()));
  }
}

void ServerCall::DoMaintain() {
  Maintenance* const maintenance = state_->store->maintenance();
  const Maintain& asked = request_.maintain();
  const KeyRange range{asked.begin(), asked.end()};
  Maintained* const out = response_.mutable_maintained();
  switch (asked.work()) {
    case Maintain::FLUSH:
      return SetStatus(maintenance->Flush(), &response_);
    case Maintain::COMPACT:
      return SetStatus(maintenance->Compact(range), &response_);
    case Maintain::APPROXIMATE_BYTES: {
      const absl::StatusOr<uint64_t> bytes = maintenance->ApproximateBytes(range);
      if (bytes.ok()) out->set_bytes(*bytes);
      return SetStatus(bytes.status(), &response_);
    }
    case Maintain::VERIFY: {
      const absl::StatusOr<Maintenance::VerifyReport> report = maintenance->Verify();
      if (report.ok()) {
        out->set_files(report->files);
        out->set_bytes(report->bytes);
        out->set_entries(report->entries);
      }
      return SetStatus(report.status(), &response_);
    }
    case Maintain::CHECKPOINT: {
      const absl::StatusOr<std::string> path = maintenance->Checkpoint(asked.name());
      if (path.ok()) out->set_path(*path);
      return SetStatus(path.status(), &response_);
    }
    case Maintain::LOAD_INDEX:
      return SetIndexReport(maintenance->LoadIndex());
    case Maintain::SAVE_INDEX_SNAPSHOT:
      return SetIndexReport(maintenance->SaveIndexSnapshot(asked.name()));
    case Maintain::LOAD_INDEX_SNAPSHOT:
      return SetIndexReport(maintenance->LoadIndexSnapshot(asked.name()));
    default:
      return SetStatus(absl::UnimplementedError(absl::StrCat("the server has no maintenance ",
                                                             static_cast<int>(asked.work()))),
                       &response_);
  }
}

void ServerCall::SetIndexReport(const absl::StatusOr<Maintenance::IndexReport>& report) {
  SetStatus(report.status(), &response_);
  if (!report.ok()) return;
  Maintained* const out = response_.mutable_maintained();
  out->set_tables(report->tables);
  out->set_keys(report->keys);
  out->set_bytes(report->bytes);
  out->set_from_file(report->from_file);
}

void ServerCall::Encode(Output* output, RequestCounts* counts) {
  const bool whole = runs_ && response_.code() == 0;
  if (response_.code() != 0) ++counts->errors;
  if (whole && request_.operation() == GET) {
    EncodeGet(output, counts);
  } else if (whole && request_.operation() == SCAN) {
    EncodeScan(output);
  } else {
    response_.set_id(id());
    AppendFrameHead(response_, 0, &output->bytes());
  }
  pin_.reset();
  if (results_used_ > 1 || keys_.size() > kMaxKeptItems) results_.clear();
  results_used_ = 0;
  if (keys_.size() > kMaxKeptItems) keys_ = {};
  if (page_ != nullptr && page_->size() > kMaxKeptItems) page_.reset();
  if (large_) {
    request_ = Request();
    response_ = Response();
  }
}

// One frame for some of the keys at a time, each full answer as far as it goes.
void ServerCall::EncodeGet(Output* output, RequestCounts* counts) {
  size_t keys_left = keys_.size();
  response_.set_id(id());
  if (keys_left == 0) AppendFrameHead(response_, 0, &output->bytes());
  for (size_t chunk = 0; chunk < results_used_; ++chunk) {
    std::unique_ptr<ReadResults>& results = results_[chunk];
    bool lent = false;
    for (size_t begin = 0; begin < results->size();) {
      size_t end = begin;
      uint64_t payload = 0;
      while (end < results->size() && end - begin < kItemsPerFrame &&
             (end == begin ||
              payload + (*results)[end].value.size() <= kMaxFrameBytes - kMaxHeaderBytes)) {
        payload += (*results)[end++].value.size();
      }
      if (begin > 0 || chunk > 0) {
        response_.Clear();
        response_.set_id(id());
      }
      MetadataWriter metadata(&response_, end - begin);
      for (size_t i = begin; i < end; ++i) {
        const ReadResult& result = (*results)[i];
        if (!result.status.ok()) AddErrorWithin(i - begin, result.status);
        if (result.status.ok()) ++(result.found ? counts->hits : counts->misses);
        response_.add_value_sizes(result.found ? static_cast<uint32_t>(result.value.size()) + 1
                                               : 0);
        if (request_.stamps()) {
          response_.add_stamps(result.stamp.high);
          response_.add_stamps(result.stamp.low);
        }
        if (request_.metadata()) metadata.Add(i - begin, result.expires_at_ms, result.content_type);
      }
      keys_left -= end - begin;
      response_.set_more(keys_left > 0);
      AppendFrameHead(response_, payload, &output->bytes());
      for (size_t i = begin; i < end; ++i) AppendValue((*results)[i].value, &lent, output);
      begin = end;
    }
    if (!results->intact()) output->MarkLost();
    if (lent) {
      output->Keep(std::shared_ptr<ReadResults>(std::move(results)));
      results = std::make_unique<ReadResults>();
    }
  }
}

void ServerCall::EncodeScan(Output* output) {
  response_.set_id(id());
  uint64_t payload = 0;
  MetadataWriter metadata(&response_, page_->size());
  for (size_t i = 0; i < page_->size(); ++i) {
    const ScanEntry& entry = (*page_)[i];
    response_.add_entry_sizes(static_cast<uint32_t>(entry.key.size()));
    response_.add_entry_sizes(static_cast<uint32_t>(entry.value.size()));
    if (request_.metadata()) metadata.Add(i, entry.expires_at_ms, entry.content_type);
    payload += entry.key.size() + entry.value.size();
  }
  AppendFrameHead(response_, payload, &output->bytes());
  bool lent = false;
  for (const ScanEntry& entry : *page_) {
    AppendValue(entry.key, &lent, output);
    AppendValue(entry.value, &lent, output);
  }
  if (!page_->intact()) output->MarkLost();
  if (lent) output->Keep(std::shared_ptr<ScanPage>(std::move(page_)));
}

void ServerCall::AddErrorWithin(size_t index, const absl::Status& status) {
  error_bytes_ += status.message().size();
  const bool within = error_bytes_ <= kMaxErrorBytes;
  AddError(index, within ? status : absl::Status(status.code(), ""), &response_);
}

void AppendWriteAnswer(uint64_t id, absl::string_view answer, Output* output) {
  Response only_id;
  only_id.set_id(id);
  AppendFrameHead(answer, only_id.SerializeAsString(), 0, &output->bytes());
}

void AppendStatus(uint64_t id, const absl::Status& status, Output* output) {
  Response response;
  response.set_id(id);
  SetStatus(status, &response);
  AppendFrameHead(response, 0, &output->bytes());
}

}  // namespace native
}  // namespace kvarts
