#include "testing/model/scan_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "testing/model/history.h"

namespace kvarts::model {

ScanCheck::ScanCheck(const ScanOptions& scan, bool ordered, const Dump& now)
    : scan_(scan), ordered_(ordered) {
  Observe(now);
}

bool ScanCheck::InScope(const std::string& key) const {
  return scan_.range.Contains(key) && InSlots(key, scan_.slots);
}

bool ScanCheck::IsBehindLast(const std::string& key) const {
  return !last_.has_value() || (scan_.backward ? key < *last_ : key > *last_);
}

void ScanCheck::Observe(const Dump& now) {
  for (const auto& [key, state] : now) {
    if (!InScope(key)) continue;
    std::vector<EntryState>& states = history_[key];
    const bool same = !states.empty() && states.back().value == state.value &&
                      states.back().content_type == state.content_type &&
                      states.back().expires_at_ms == state.expires_at_ms;
    if (!same) states.push_back(state);
  }
  for (auto it = owed_.begin(); it != owed_.end();) {
    it = now.count(*it) == 0 ? owed_.erase(it) : std::next(it);
  }
}

ScanCheck ScanCheck::Resumed(const Dump& now) const {
  ScanCheck out = *this;
  out.started_ = false;
  out.at_end_ = false;
  out.Observe(now);
  return out;
}

std::optional<std::string> ScanCheck::CheckPage(const ScanPage& page, const PageLimits& limits,
                                                const Dump& now) {
  if (!started_) {
    started_ = true;
    // In an order of the store's own, what came since the cursor that this one
    // goes on from may lie before its position.
    const bool resumed = last_.has_value();
    for (const auto& [key, state] : now) {
      if (InScope(key) && (ordered_ ? IsBehindLast(key) : !resumed)) owed_.insert(key);
    }
  }
  if (at_end_ && !page.empty()) return "entries came behind the end";
  if (page.size() > std::max<size_t>(limits.entries, 1)) return "more entries than the limit";
  size_t bytes = 0;
  for (const ScanEntry& entry : page) {
    bytes += entry.key.size() + entry.value.size();
    if (std::optional<std::string> wrong = CheckEntry(entry)) return wrong;
  }
  if (page.size() > 1 && bytes > limits.bytes) return "more bytes than the limit";
  if (page.empty()) {
    at_end_ = true;
    if (!owed_.empty()) {
      return absl::StrCat("the scan ended without ", Quote(*owed_.begin()),
                          ", which was there all the time");
    }
  }
  return std::nullopt;
}

std::optional<std::string> ScanCheck::CheckEntry(const ScanEntry& entry) {
  const std::string key(entry.key);
  const std::string name = absl::StrCat("entry ", Quote(key));
  if (!InScope(key)) return name + " is outside of the range or slots";
  const auto known = history_.find(key);
  if (known == history_.end()) return name + " was not there";
  const bool was_so =
      std::any_of(known->second.begin(), known->second.end(), [&](const EntryState& state) {
        return entry.value == (scan_.keys_only ? "" : state.value) &&
               entry.content_type == state.content_type &&
               entry.expires_at_ms == state.expires_at_ms;
      });
  if (!was_so) {
    return absl::StrCat(name, " came with ", Quote(entry.value), ", type ",
                        Quote(entry.content_type), ", expiry ", entry.expires_at_ms,
                        ", as it never was");
  }
  if (ordered_) {
    if (!IsBehindLast(key)) return absl::StrCat(name, " came behind ", Quote(*last_));
    if (!owed_.empty()) {
      const std::string& first = scan_.backward ? *owed_.rbegin() : *owed_.begin();
      if (scan_.backward ? first > key : first < key) {
        return absl::StrCat(name, " came without ", Quote(first), ", which was there all the time");
      }
    }
  } else if (scan_.snapshot != nullptr && seen_.count(key) > 0) {
    return name + " came twice";
  }
  owed_.erase(key);
  seen_.insert(key);
  last_ = key;
  return std::nullopt;
}

}  // namespace kvarts::model
