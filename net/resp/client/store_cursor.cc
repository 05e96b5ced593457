#include "net/resp/client/store_cursor.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "net/resp/client/store_calls.h"

namespace kvarts {
namespace resp_client {
namespace {

constexpr char kPositionVersion = 1;
constexpr size_t kFixedBytes = 1 + 1 + 8 + 1;

// What one SCAN asks for.
constexpr size_t kLeastCount = 10;
constexpr size_t kMostCount = 1000;
// Values are read a few at a time at first, then more, as they fit a page.
constexpr size_t kFirstAtOnce = 4;

}  // namespace

std::string ScanPosition::Encode() const {
  std::string out = {kPositionVersion, static_cast<char>(over ? 1 : 0)};
  AppendLE64(&out, cursor);
  out.push_back(static_cast<char>(run_id.size()));
  out += run_id;
  for (const std::string& key : given) {
    AppendLE32(&out, static_cast<uint32_t>(key.size()));
    out += key;
  }
  return out;
}

absl::StatusOr<ScanPosition> ScanPosition::Decode(absl::string_view bytes) {
  const absl::Status foreign = absl::InvalidArgumentError("not a position of a scan of this store");
  if (bytes.size() < kFixedBytes || bytes[0] != kPositionVersion ||
      static_cast<unsigned char>(bytes[1]) > 1) {
    return foreign;
  }
  ScanPosition out;
  out.over = bytes[1] == 1;
  out.cursor = LoadLE64(bytes.data() + 2);
  const auto id_bytes = static_cast<unsigned char>(bytes[kFixedBytes - 1]);
  bytes.remove_prefix(kFixedBytes);
  if (bytes.size() < id_bytes) return foreign;
  out.run_id = std::string(bytes.substr(0, id_bytes));
  bytes.remove_prefix(id_bytes);
  while (!bytes.empty()) {
    if (bytes.size() < 4) return foreign;
    const uint32_t size = LoadLE32(bytes.data());
    bytes.remove_prefix(4);
    if (bytes.size() < size) return foreign;
    out.given.emplace_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  return out;
}

ServerCursor::ServerCursor(std::shared_ptr<StoreLink> link, std::shared_ptr<ValueSource> values,
                           const ScanOptions& options, ScanPosition start)
    : link_(std::move(link)),
      values_(std::move(values)),
      options_(options),
      timeout_(values_->Timeout(options.timeout)),
      batch_(std::move(start)),
      begun_(!options.resume_after.empty()),
      at_once_(kFirstAtOnce) {}

std::string ServerCursor::position() const { return begun_ ? batch_.Encode() : ""; }

bool ServerCursor::Wanted(absl::string_view key) const {
  return options_.range.Contains(key) && InSlots(key, options_.slots);
}

void ServerCursor::DropFirst() {
  batch_.given.push_back(std::move(pending_.front()));
  pending_.pop_front();
  if (pending_.empty()) Advance();
}

void ServerCursor::Advance() {
  batch_.over = next_ == 0;
  batch_.cursor = next_;
  batch_.given.clear();
  unread_ = true;
}

absl::Status ServerCursor::Next(const PageLimits& limits, ScanPage* page) {
  page->Reset();
  page_bytes_ = 0;
  const absl::Time deadline = absl::Now() + timeout_;
  const size_t most = std::max<size_t>(limits.entries, 1);
  const bool keys_alone = options_.keys_only && !values_->expiry();
  // Batches of keys that the scan is not about, or that are gone, make no page.
  while (page->empty()) {
    if (unread_) {
      if (batch_.over) break;
      KVARTS_RETURN_IF_ERROR(ReadBatch(most, deadline));
    }
    bool room = !pending_.empty();
    while (room && !pending_.empty() && page->size() < most) {
      if (keys_alone) {
        room = AddKeys(limits, page);
        continue;
      }
      absl::StatusOr<bool> added = AddEntries(limits, deadline, page);
      if (!added.ok()) {
        if (page->empty()) {
          page->Reset();
          return added.status();
        }
        break;  // the next page meets it
      }
      room = *added;
    }
  }
  begun_ = true;
  return absl::OkStatus();
}

absl::Status ServerCursor::ReadBatch(size_t page_entries, absl::Time deadline) {
  const bool all = options_.range == KeyRange::All() && options_.slots.empty();
  const size_t count = all ? std::clamp(page_entries, kLeastCount, kMostCount) : kMostCount;
  const auto call = std::make_shared<ScanCall>(batch_.cursor, count);
  link_->Start(call, deadline - absl::Now());
  KVARTS_RETURN_IF_ERROR(call->Wait());
  KVARTS_RETURN_IF_ERROR(call->status());
  if (batch_.cursor != 0 && call->run_id() != batch_.run_id) {
    return absl::FailedPreconditionError(
        "the server began anew since the scan did, and its cursors are others: begin again");
  }
  batch_.run_id = call->run_id();
  std::sort(batch_.given.begin(), batch_.given.end());
  for (std::string& key : call->reply().keys()) {
    // A longer one is none of a store's.
    if (key.size() > kMaxKeyBytes || !Wanted(key)) continue;
    if (std::binary_search(batch_.given.begin(), batch_.given.end(), key)) continue;
    pending_.push_back(std::move(key));
  }
  next_ = call->reply().next();
  unread_ = false;
  if (pending_.empty()) Advance();
  return absl::OkStatus();
}

bool ServerCursor::AddKeys(const PageLimits& limits, ScanPage* page) {
  const std::string& key = pending_.front();
  if (!page->empty() && page_bytes_ + key.size() > limits.bytes) return false;
  page_bytes_ += key.size();
  ScanEntry entry;
  entry.key = page->bytes().Copy(key);
  page->Add(entry);
  DropFirst();
  return true;
}

absl::StatusOr<bool> ServerCursor::AddEntries(const PageLimits& limits, absl::Time deadline,
                                              ScanPage* page) {
  const size_t room = std::max<size_t>(limits.entries, 1) - page->size();
  const size_t n = std::min({at_once_, pending_.size(), room});
  const std::vector<absl::string_view> keys(pending_.begin(),
                                            pending_.begin() + static_cast<std::ptrdiff_t>(n));
  ReadResults results;
  values_->Read(keys, !options_.keys_only, deadline - absl::Now(), &results);
  absl::Status error;
  bool fits = true;
  size_t taken = 0;
  for (const ReadResult& result : results) {
    if (error = Unshared(result.status); !error.ok()) break;
    const size_t bytes = pending_.front().size() + result.value.size();
    if (result.found) {
      fits = page->empty() || page_bytes_ + bytes <= limits.bytes;
      if (!fits) break;
      page_bytes_ += bytes;
      page->Add({page->bytes().Copy(pending_.front()), result.value, {}, result.expires_at_ms});
    }
    DropFirst();
    ++taken;
  }
  // The values stay where they are.
  page->bytes().Adopt(std::move(results.bytes()));
  if (!error.ok()) return error;
  at_once_ = fits ? std::min(2 * at_once_, kMostCount) : std::max<size_t>(taken, 1);
  return fits;
}

}  // namespace resp_client
}  // namespace kvarts
