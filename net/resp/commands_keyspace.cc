#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/resp/glob.h"
#include "net/resp/handlers.h"
#include "net/resp/random_key.h"

namespace kvarts {
namespace resp {
namespace {

// Bytes of patterns that one SCAN, one KEYS looks at, about a nanosecond each.
constexpr uint64_t kMaxScanSteps = 4'000'000;
constexpr uint64_t kMaxKeysSteps = 20'000'000;
// Of a page whose keys are matched: a bound on what one page takes.
constexpr size_t kMatchedPageBytes = 16 << 10;
constexpr size_t kMaxPatternBytes = 1 << 10;
constexpr size_t kMaxKeysVisited = 100000;
constexpr size_t kMaxScanCount = 10000;
constexpr size_t kPageKeys = 1000;
// Beside key and value in what MEMORY USAGE says: some of the index.
constexpr size_t kEntryBytes = 16;

// The keys a pattern can match.
KeyRange RangeOf(absl::string_view pattern, const Capabilities& has) {
  const std::string prefix = GlobPrefix(pattern);
  if (prefix.empty() || !has.has(has.ordered_scan)) return KeyRange::All();
  return KeyRange::Prefix(prefix);
}

// True, or else the reply is written.
bool CheckPattern(CommandCall* call, absl::string_view pattern) {
  if (pattern.size() <= kMaxPatternBytes) return true;
  call->reply->Error(
      absl::StrCat("ERR a pattern of ", pattern.size(), " bytes; at most ", kMaxPatternBytes));
  return false;
}

// As strtoull() does it: "" and "-0" are 0.
bool ParseCursor(absl::string_view text, uint64_t* cursor) {
  const std::string copy(text.substr(0, 64));
  if (!copy.empty() && absl::ascii_isspace(static_cast<unsigned char>(copy[0]))) return false;
  char* end = nullptr;
  errno = 0;
  *cursor = std::strtoull(copy.c_str(), &end, 10);
  return *end == '\0' && errno != ERANGE && copy.size() == text.size();
}

// The milliseconds that are left; -1: no expiry, -2: no key.
int64_t TimeLeft(const ReadAnswer& answer) {
  const ReadResult& result = answer.results[0];
  if (!result.found) return -2;
  if (result.expires_at_ms == 0) return -1;
  return std::max<int64_t>(result.expires_at_ms - answer.now_ms(), 0);
}

int64_t EndTime(const ReadAnswer& answer) {
  const ReadResult& result = answer.results[0];
  if (!result.found) return -2;
  return result.expires_at_ms == 0 ? -1 : result.expires_at_ms;
}

bool Say(const ReadAnswer& answer, int64_t number) {
  answer.reply->Integer(number);
  return false;
}

// Of what is there; absent keys are null.
bool SayOrNull(const ReadAnswer& answer, int64_t number) {
  if (answer.results[0].found) return Say(answer, number);
  answer.reply->Null();
  return false;
}

}  // namespace

bool AnswerExists(const ReadAnswer& answer) {
  return Say(answer, std::count_if(answer.results.begin(), answer.results.end(),
                                   [](const ReadResult& result) { return result.found; }));
}

bool AnswerType(const ReadAnswer& answer) {
  answer.reply->Simple(answer.results[0].found ? "string" : "none");
  return false;
}

bool AnswerPTtl(const ReadAnswer& answer) { return Say(answer, TimeLeft(answer)); }
bool AnswerTtl(const ReadAnswer& answer) {
  const int64_t left = TimeLeft(answer);
  return Say(answer, left < 0 ? left : (left + 500) / 1000);
}
bool AnswerPExpireTime(const ReadAnswer& answer) { return Say(answer, EndTime(answer)); }
bool AnswerExpireTime(const ReadAnswer& answer) {
  const int64_t end = EndTime(answer);
  return Say(answer, end < 0 ? end : (end + 500) / 1000);
}

bool AnswerMemoryUsage(const ReadAnswer& answer) {
  for (size_t i = 3; i < answer.args.size(); i += 2) {
    const bool samples =
        absl::EqualsIgnoreCase(answer.args[i], "SAMPLES") && i + 1 < answer.args.size();
    int64_t count = 0;
    const bool is_integer = samples && ParseInteger(answer.args[i + 1], &count);
    if (is_integer && count >= 0) continue;
    answer.reply->Error(samples && !is_integer ? kNotAnInteger : kSyntaxError);
    return false;
  }
  return SayOrNull(answer, static_cast<int64_t>(answer.args[2].size() +
                                                answer.results[0].value.size() + kEntryBytes));
}

bool AnswerObjectEncoding(const ReadAnswer& answer) {
  const ReadResult& result = answer.results[0];
  int64_t number = 0;
  if (!result.found) {
    answer.reply->Null();
  } else if (ParseInteger(result.value, &number)) {
    answer.reply->Bulk("int");
  } else {
    answer.reply->Bulk(result.value.size() <= 44 ? "embstr" : "raw");
  }
  return false;
}

bool AnswerObjectFreq(const ReadAnswer& answer) {
  if (!answer.results[0].found) {
    answer.reply->Null();
  } else {
    answer.reply->Error(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note "
        "that when switching between policies at runtime LRU and LFU data will take some time to "
        "adjust.");
  }
  return false;
}

bool AnswerObjectIdleTime(const ReadAnswer& answer) { return SayOrNull(answer, 0); }
bool AnswerObjectRefCount(const ReadAnswer& answer) { return SayOrNull(answer, 1); }

// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
void Scan(CommandCall* call) {
  const auto args = call->args;
  ReplyWriter* const reply = call->reply;
  uint64_t number = 0;
  if (!ParseCursor(args[1], &number)) return reply->Error("ERR invalid cursor");
  absl::string_view pattern;
  bool matches = false;
  int64_t count = 10;
  bool strings = true;
  for (size_t i = 2; i < args.size(); i += 2) {
    if (i + 1 == args.size()) return reply->Error(kSyntaxError);
    if (absl::EqualsIgnoreCase(args[i], "MATCH")) {
      pattern = args[i + 1];
      if (!CheckPattern(call, pattern)) return;
      matches = !GlobMatchesAll(pattern);
    } else if (absl::EqualsIgnoreCase(args[i], "COUNT")) {
      if (!ParseInteger(args[i + 1], &count)) return reply->Error(kNotAnInteger);
      if (count < 1) return reply->Error(kSyntaxError);
    } else if (absl::EqualsIgnoreCase(args[i], "TYPE")) {
      strings = absl::EqualsIgnoreCase(args[i + 1], "string");
    } else {
      return reply->Error(kSyntaxError);
    }
  }
  ScanPlace place;
  if (number != 0) {
    std::optional<ScanPlace> known = call->state->scans.Find(number);
    if (!known) {
      return reply->Error("ERR invalid cursor: it is not known any more, begin again with SCAN 0");
    }
    place = *std::move(known);
  } else if (matches) {
    place.range = RangeOf(pattern, call->capabilities());
  }
  ScanOptions options;
  options.range = place.range;
  options.keys_only = true;
  options.resume_after = place.position;
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = call->store()->NewCursor(options);
  if (!cursor.ok()) return reply->Error(ErrorText(cursor.status()));
  std::vector<std::string> keys;
  auto left = static_cast<size_t>(std::min<int64_t>(count, kMaxScanCount));
  bool ended = !strings;  // there are no others
  ScanPage* const page = &call->scratch->page;
  uint64_t steps = 0;
  size_t bytes = 0;
  // Fewer than asked for, even none, is an answer too.
  while (left > 0 && !ended && steps < kMaxScanSteps &&
         bytes < call->state->options.max_output_bytes) {
    PageLimits limits;
    limits.entries = std::min(left, kPageKeys);
    if (matches) limits.bytes = kMatchedPageBytes;
    const absl::Status status = (*cursor)->Next(limits, page);
    if (!status.ok()) return reply->Error(ErrorText(status));
    ended = page->empty();
    left -= std::min(left, page->size());
    call->work += page->size() + 1;
    for (const ScanEntry& entry : *page) {
      if (matches && !GlobMatches(pattern, entry.key, &steps)) continue;
      bytes += entry.key.size();
      keys.emplace_back(entry.key);
    }
    if (!page->intact()) reply->output()->MarkLost();
  }
  page->Release();
  uint64_t next = 0;
  if (!ended) {
    place.position = (*cursor)->position();
    next = call->state->scans.Add(std::move(place), number);
  } else {
    call->state->scans.End(number);
  }
  reply->Array(2);
  reply->Bulk(absl::StrCat(next));
  reply->Array(keys.size());
  for (const std::string& key : keys) reply->Bulk(key);
}

void Keys(CommandCall* call) {
  const absl::string_view pattern = call->args[1];
  if (!CheckPattern(call, pattern)) return;
  ReplyWriter* const reply = call->reply;
  ScanOptions options;
  options.range = RangeOf(pattern, call->capabilities());
  options.keys_only = true;
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = call->store()->NewCursor(options);
  if (!cursor.ok()) return reply->Error(ErrorText(cursor.status()));
  std::vector<std::string> keys;
  ScanPage* const page = &call->scratch->page;
  size_t bytes = 0;
  uint64_t steps = 0;
  do {
    PageLimits limits;
    limits.entries = kPageKeys;
    limits.bytes = kMatchedPageBytes;
    const absl::Status status = (*cursor)->Next(limits, page);
    if (!status.ok()) return reply->Error(ErrorText(status));
    call->work += page->size() + 1;
    for (const ScanEntry& entry : *page) {
      if (!GlobMatches(pattern, entry.key, &steps)) continue;
      bytes += entry.key.size();
      keys.emplace_back(entry.key);
    }
    if (!page->intact()) reply->output()->MarkLost();
    if (steps > kMaxKeysSteps) {
      page->Release();
      return reply->Error("ERR a pattern that takes too long: use SCAN, or a simpler one");
    }
    if (call->work > kMaxKeysVisited || bytes > call->state->options.max_answer_bytes) {
      page->Release();
      return reply->Error(absl::StrCat("ERR KEYS goes over at most ", kMaxKeysVisited,
                                       " keys here: use SCAN, or a pattern with a longer "
                                       "beginning"));
    }
  } while (!page->empty());
  page->Release();
  reply->Array(keys.size());
  for (const std::string& key : keys) reply->Bulk(key);
}

void RandomKey(CommandCall* call) {
  const absl::StatusOr<std::optional<std::string>> key = SomeKey(call->store());
  if (!key.ok()) return call->reply->Error(ErrorText(key.status()));
  key->has_value() ? call->reply->Bulk(**key) : call->reply->Null();
}

}  // namespace resp
}  // namespace kvarts
