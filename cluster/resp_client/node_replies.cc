#include "cluster/resp_client/node_replies.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "net/resp/client/command.h"

namespace kvarts {
namespace resp_cluster {
namespace {

using resp_client::ReplyItem;
using Kind = ReplyItem::Kind;

// What is before the last colon, which may have colons itself: an IPv6 address. Nodes write it
// without brackets.
absl::string_view HostOf(absl::string_view host_port) {
  const absl::string_view host = host_port.substr(0, host_port.rfind(':'));
  return absl::StripSuffix(absl::StripPrefix(host, "["), "]");
}

// A node that does not know its own host, or keeps it to itself, is where it was asked.
std::string HostOr(absl::string_view host, absl::string_view asked) {
  return std::string(host.empty() || host == "?" ? asked : host);
}

std::string AddressOf(absl::string_view host_port, absl::string_view asked) {
  int port = 0;
  const size_t colon = host_port.rfind(':');
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(host_port.substr(colon + 1), &port)) {
    return {};
  }
  return absl::StrCat("tcp://", HostPort(HostOr(HostOf(host_port), asked), port));
}

absl::string_view HostOfAddress(absl::string_view address) {
  return HostOf(absl::StripPrefix(address, "tcp://"));
}

// "5", or "5-9".
bool ParseRun(absl::string_view text, size_t* first, size_t* last) {
  const std::vector<absl::string_view> ends = absl::StrSplit(text, absl::MaxSplits('-', 1));
  return absl::SimpleAtoi(ends.front(), first) && absl::SimpleAtoi(ends.back(), last) &&
         *last < kSlots;
}

}  // namespace

std::optional<Refusal> RefusalOf(const absl::Status& status, absl::string_view address) {
  const absl::string_view text = status.message();
  if (absl::IsUnavailable(status)) {
    for (const char* const later : {"TRYAGAIN ", "CLUSTERDOWN ", "LOADING "}) {
      if (absl::StartsWith(text, later)) return Refusal{};
    }
    return std::nullopt;
  }
  const bool moved = absl::StartsWith(text, "MOVED ");
  if (!absl::IsFailedPrecondition(status) || !(moved || absl::StartsWith(text, "ASK "))) {
    return std::nullopt;
  }
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  std::string to = words.size() == 3 ? AddressOf(words[2], HostOfAddress(address)) : std::string();
  if (to.empty()) return Refusal{};
  return Refusal{moved ? Refusal::Kind::kMoved : Refusal::Kind::kAsk, std::move(to)};
}

SlotsCall::SlotsCall(absl::string_view address) : host_(HostOfAddress(address)) {
  AddCommand({"CLUSTER", "SLOTS"});
}

absl::Status SlotsCall::status() const {
  if (status_.ok() && map_.nodes.empty()) {
    return absl::FailedPreconditionError("the node knows of nobody who serves a slot");
  }
  return Unshared(status_);
}

void SlotsCall::OnRetry() {
  status_ = absl::OkStatus();
  map_ = ClusterMap();
  places_.clear();
}

// [[first, last, [host, port, id, ...], replica...]...]
absl::Status SlotsCall::OnItem(size_t, const ReplyItem& item) {
  if (item.depth == 0 && item.kind == Kind::kError) {
    status_ = resp_client::ErrorStatus(item.text);
    // "ERR This instance has cluster support disabled"
    if (absl::IsInternal(status_)) status_ = absl::FailedPreconditionError(item.text);
    return absl::OkStatus();
  }
  const bool is_array = item.kind == Kind::kArray;
  if (item.depth <= 1) {
    of_run_ = 0;
    return is_array ? absl::OkStatus() : resp_client::NonsenseError();
  }
  if (item.depth == 2) {
    ++of_run_;
    of_node_ = 0;
    if (of_run_ <= 2) (of_run_ == 1 ? first_ : last_) = item.number;
    const bool fits = of_run_ <= 2 ? item.kind == Kind::kInteger : is_array;
    const bool in_range = 0 <= first_ && first_ < kSlots && last_ < kSlots;
    return fits && in_range ? absl::OkStatus() : resp_client::NonsenseError();
  }
  // Replicas are behind the primary.
  return item.depth == 3 && of_run_ == 3 ? TakeNode(item) : absl::OkStatus();
}

absl::Status SlotsCall::TakeNode(const ReplyItem& item) {
  switch (of_node_++) {
    case 0:
      if (item.kind != Kind::kBulk && item.kind != Kind::kNull) break;
      node_ = ClusterNode();
      node_.host = HostOr(item.text, host_);
      return absl::OkStatus();
    case 1:
      if (item.kind != Kind::kInteger) break;
      node_.resp_port = static_cast<int>(item.number);
      return absl::OkStatus();
    case 2: {
      if (item.kind != Kind::kBulk) break;
      node_.id = std::string(item.text);
      const auto place = places_.emplace(node_.id, static_cast<int16_t>(map_.nodes.size()));
      if (place.second) map_.nodes.push_back(node_);
      for (int64_t slot = first_; slot <= last_; ++slot) {
        map_.owner[static_cast<size_t>(slot)] = place.first->second;
      }
      return absl::OkStatus();
    }
    default:
      return absl::OkStatus();
  }
  return resp_client::NonsenseError();
}

// Lines of: id host:port@bus[,name] flags primary ping pong epoch link slots...; those of the node
// itself, whose flags have "myself", end with [slot->-id] and [slot-<-id] for slots on their way.
OwnSlots OwnSlots::Parse(absl::string_view text, absl::string_view address) {
  constexpr size_t kFirstSlots = 8;
  OwnSlots own;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(absl::StripSuffix(line, "\r"), ' ', absl::SkipEmpty());
    if (words.size() < kFirstSlots) continue;
    const std::string id(words[0]);
    own.addresses[id] = AddressOf(words[1].substr(0, words[1].find('@')), HostOfAddress(address));
    if (!absl::StrContains(words[2], "myself")) continue;
    own.id = id;
    for (const absl::string_view word : absl::MakeConstSpan(words).subspan(kFirstSlots)) {
      size_t first = 0;
      size_t last = 0;
      if (!absl::StartsWith(word, "[")) {
        if (!ParseRun(word, &first, &last)) continue;
        for (size_t slot = first; slot <= last; ++slot) own.held.set(slot);
        continue;
      }
      const size_t arrow = word.find('-');
      if (arrow == absl::string_view::npos ||
          !absl::SimpleAtoi(word.substr(1, arrow - 1), &first) || first >= kSlots ||
          word.size() < arrow + 3) {
        continue;
      }
      const absl::string_view other = absl::StripSuffix(word.substr(arrow + 3), "]");
      if (absl::StartsWith(word.substr(arrow), "->-")) {
        own.migrating[static_cast<uint16_t>(first)] = std::string(other);
      } else {
        own.importing.set(first);
      }
    }
  }
  return own;
}

absl::Status OwnSlotsCall::OnItem(size_t, const ReplyItem& item) {
  if (item.kind == Kind::kError) {
    status_ = resp_client::ErrorStatus(item.text);
    return absl::OkStatus();
  }
  if (item.kind != Kind::kBulk) return resp_client::NonsenseError();
  text_ = std::string(item.text);
  return absl::OkStatus();
}

}  // namespace resp_cluster
}  // namespace kvarts
