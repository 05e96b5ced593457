#include "net/remote/requests.h"

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "net/native/frame.h"
#include "net/native/wire.h"

namespace kvarts {
namespace remote {
namespace {

// What a request's header takes at the most beside its mutations and preconditions.
constexpr uint64_t kHeaderRest = 1 << 10;
// What a mutation's message takes of a request's header at the most, with the bytes that frame
// it; a precondition's takes less.
constexpr uint64_t kMostHeaderBytes = 32;
// At least what one mutation's message and one key's size take of a header.
constexpr size_t kHeaderBytesPerMutation = 64;
constexpr size_t kHeaderBytesPerKey = 5;

}  // namespace

Capabilities CapabilitiesOver(const native::ServerHello& server) {
  Capabilities has = native::FromProto(server.capabilities());
  has.may_block = true;
  // Every batch within these limits goes into one request.
  const uint64_t header = server.max_header_bytes();
  const uint64_t payload_from = header + native::kPrefixBytes;
  has.max_batch_mutations =
      std::min({has.max_batch_mutations, server.max_items(),
                header > 2 * kHeaderRest ? (header - 2 * kHeaderRest) / kMostHeaderBytes : 0});
  has.max_batch_bytes = std::min(has.max_batch_bytes, server.max_frame_bytes() > payload_from
                                                          ? server.max_frame_bytes() - payload_from
                                                          : 0);
  return has;
}

std::string NewClientId() {
  std::string id;
  std::random_device random;
  for (int i = 0; i < 4; ++i) AppendLE32(&id, random());
  return id;
}

native::Request NewRequest(native::Client* client, native::Operation operation,
                           absl::Duration timeout) {
  native::Request request;
  request.set_id(client->NewId());
  request.set_operation(operation);
  // Not 0, which would be none.
  const int64_t ms = absl::ToInt64Milliseconds(timeout);
  request.set_timeout_ms(static_cast<uint32_t>(std::clamp<int64_t>(ms, 1, UINT32_MAX)));
  return request;
}

size_t AddKeys(absl::Span<const absl::string_view> keys, absl::Span<const uint32_t> places,
               size_t most, const native::ServerHello& server, const ReadOptions& options,
               native::Request* request, std::vector<absl::string_view>* payload) {
  request->set_keys_only(!options.value);
  request->set_stamps(options.stamp);
  request->set_metadata(true);
  size_t bytes = native::kPrefixBytes + kHeaderRest;
  size_t n = 0;
  for (; n < places.size() && n < most; ++n) {
    const absl::string_view key = keys[places[n]];
    bytes += key.size() + kHeaderBytesPerKey;
    if (n > 0 && bytes > server.max_frame_bytes()) break;
    payload->push_back(key);
    request->add_key_sizes(static_cast<uint32_t>(key.size()));
  }
  return n;
}

size_t CountThatFit(const WriteBatch& batch, absl::Span<const uint32_t> places,
                    const native::ServerHello& server) {
  size_t bytes = native::kPrefixBytes + kHeaderRest;
  size_t n = 0;
  for (; n < places.size() && n < kItemsPerRequest; ++n) {
    const Mutation& m = batch.mutations()[places[n]];
    bytes += m.key.size() + m.value.size() + m.metadata.type.size() + kHeaderBytesPerMutation;
    if (n > 0 && bytes > server.max_frame_bytes()) break;
  }
  return n;
}

absl::Status AddWrite(const WriteBatch& batch, absl::Span<const uint32_t> places,
                      const WriteOptions& options, const native::ServerHello& server,
                      native::Request* request, std::vector<absl::string_view>* payload) {
  native::Write* const write = request->mutable_write();
  write->set_atomic(options.atomic);
  write->set_unsynced(!options.sync);
  write->set_report_existed(options.report_existed);
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
    payload->push_back(m.key);
    payload->push_back(m.value);
    payload->push_back(m.metadata.type);
  }
  for (const Precondition& p : batch.preconditions()) {
    native::Precondition* const out = write->add_preconditions();
    out->set_kind(static_cast<uint32_t>(p.kind));
    out->set_key_size(static_cast<uint32_t>(p.key.size()));
    out->set_stamp_high(p.stamp.high);
    out->set_stamp_low(p.stamp.low);
    payload->push_back(p.key);
  }
  const size_t header = request->ByteSizeLong() + kHeaderRest;
  size_t bytes = native::kPrefixBytes + header;
  for (const absl::string_view piece : *payload) bytes += piece.size();
  const size_t items = places.size() + batch.preconditions().size();
  if (bytes <= server.max_frame_bytes() && header <= server.max_header_bytes() &&
      items <= server.max_items()) {
    return absl::OkStatus();
  }
  // The capabilities let no atomic batch come so far: one mutation is too large.
  return absl::ResourceExhaustedError(
      absl::StrCat("a batch of ", items, " mutations and conditions in ", bytes,
                   " bytes; the server takes at most ", server.max_items(), " in ",
                   server.max_frame_bytes(), " bytes"));
}

void AddScan(const ScanOptions& options, native::Request* request) {
  request->set_keys_only(options.keys_only);
  request->set_metadata(true);
  native::Scan* const scan = request->mutable_scan();
  scan->set_begin(options.range.begin);
  scan->set_end(options.range.end);
  for (const SlotRange& range : options.slots) {
    scan->add_slots(range.first);
    scan->add_slots(range.last);
  }
  scan->set_backward(options.backward);
  scan->set_resume_after(options.resume_after);
}

StoreStats ToStoreStats(const native::Stats& stats) {
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

}  // namespace remote
}  // namespace kvarts
