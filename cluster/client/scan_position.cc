#include "cluster/client/scan_position.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/checksum.h"
#include "base/coding.h"

namespace kvarts {
namespace cluster_client {
namespace {

constexpr char kVersion = 2;  // not that of a store's own positions
constexpr size_t kHeader = 9;

uint64_t Seal(const ScanOptions& options, absl::string_view body) {
  std::string scan;
  AppendSized(&scan, options.range.begin);
  AppendSized(&scan, options.range.end);
  return Checksum(body, Checksum(scan));
}

}  // namespace

ScanPosition ScanPosition::Start(const ScanOptions& options) {
  ScanPosition position;
  if (options.slots.empty()) return position;
  position.slots.fill(kDone);
  for (const SlotRange& range : options.slots) {
    for (int slot = range.first; slot <= range.last && slot < kSlots; ++slot) {
      position.slots[static_cast<size_t>(slot)] = kLeft;
    }
  }
  return position;
}

absl::StatusOr<ScanPosition> ScanPosition::Decode(const ScanOptions& options) {
  const absl::Status bad =
      absl::InvalidArgumentError("resume_after is not a position of this scan");
  const absl::string_view text = options.resume_after;
  if (text.size() < kHeader || text[0] != kVersion) return bad;
  const absl::string_view body = text.substr(kHeader);
  if (LoadLE64(text.data() + 1) != Seal(options, body)) return bad;
  ScanPosition position;
  const char* p = body.data();
  const char* const end = p + body.size();
  uint64_t number = 0;
  for (size_t slot = 0; slot < kSlots;) {
    p = ParseVarint(p, end, &number);
    if (p == nullptr || number % 4 > kDone || number / 4 > kSlots - slot || number < 4) return bad;
    std::fill_n(position.slots.begin() + static_cast<std::ptrdiff_t>(slot), number / 4,
                static_cast<State>(number % 4));
    slot += number / 4;
  }
  p = ParseVarint(p, end, &number);
  if (p == nullptr || number > static_cast<uint64_t>(end - p)) return bad;
  position.node.assign(p, number);
  position.at.assign(p + number, end);
  const ScanPosition asked = Start(options);
  for (size_t slot = 0; slot < kSlots; ++slot) {
    if (asked.slots[slot] == kDone) position.slots[slot] = kDone;
  }
  return position;
}

std::string ScanPosition::Encode(const ScanOptions& options) const {
  std::string body;
  for (size_t slot = 0; slot < kSlots;) {
    size_t next = slot + 1;
    while (next < kSlots && slots[next] == slots[slot]) ++next;
    AppendVarint(&body, (next - slot) * 4 + slots[slot]);
    slot = next;
  }
  AppendSized(&body, node);
  body += at;
  std::string out(1, kVersion);
  AppendLE64(&out, Seal(options, body));
  return out + body;
}

bool ScanPosition::Has(State state) const {
  return std::find(slots.begin(), slots.end(), state) != slots.end();
}

std::vector<SlotRange> ScanPosition::RangesOf(State state) const {
  std::vector<SlotRange> ranges;
  for (size_t slot = 0; slot < kSlots;) {
    size_t next = slot + 1;
    while (next < kSlots && slots[next] == slots[slot]) ++next;
    if (slots[slot] == state) {
      ranges.push_back({static_cast<uint16_t>(slot), static_cast<uint16_t>(next - 1)});
    }
    slot = next;
  }
  return ranges;
}

}  // namespace cluster_client
}  // namespace kvarts
