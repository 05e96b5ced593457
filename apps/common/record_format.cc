#include "apps/common/record_format.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/text_start.h"
#include "net/http/entry_json.h"

namespace kvarts {
namespace {

// Of a key, for people: enough to find it by.
constexpr size_t kShownBytes = 100;

// What of it a data file has no place for; null: nothing.
const char* WhatDoesNotFit(const ScanEntry& entry, bool is_first) {
  if (entry.key.empty()) return "the empty key";
  if (absl::StrContains(entry.key, ' ')) return "a key with a space";
  if (absl::StrContains(entry.key, '\n')) return "a key with a newline";
  if (absl::StrContains(entry.value, '\n')) return "a value with a newline";
  if (entry.expires_at_ms != 0) return "an expiry";
  if (!entry.content_type.empty()) return "a content type";
  if (is_first && absl::StartsWith(entry.key, kNdjsonBegin)) {
    return "a first key that looks like NDJSON";
  }
  if (is_first && (ByteOrderMarkBytes(entry.key) > 0 || !ForeignFormat(entry.key).empty())) {
    return "a first key that looks like a mark of another format";
  }
  return nullptr;
}

}  // namespace

absl::Status AppendRecord(const ScanEntry& entry, RecordFormat format, bool is_first,
                          std::string* out) {
  if (format == RecordFormat::kNdjson) {
    AppendJsonEntry(entry, out);
    out->push_back('\n');
    return absl::OkStatus();
  }
  if (const char* const what = WhatDoesNotFit(entry, is_first); what != nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("key \"", absl::CHexEscape(entry.key.substr(0, kShownBytes)),
                     entry.key.size() > kShownBytes ? "..." : "", "\": a data file cannot hold ",
                     what, "; --format=ndjson holds all"));
  }
  absl::StrAppend(out, entry.key, " ", entry.value, "\n");
  return absl::OkStatus();
}

}  // namespace kvarts
