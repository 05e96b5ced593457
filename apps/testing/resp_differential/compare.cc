#include "apps/testing/resp_differential/compare.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace resp_differential {
namespace {

bool Same(const Reply& a, const Reply& b) {
  return a.type == b.type && a.text == b.text &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), Same);
}

std::string NameOf(const std::vector<std::string>& args) { return absl::AsciiStrToUpper(args[0]); }

bool InMilliseconds(const std::vector<std::string>& args) { return NameOf(args)[0] == 'P'; }

}  // namespace

Rule RuleOf(const std::vector<std::string>& args, bool settled) {
  const std::string name = NameOf(args);
  for (const char* timed : {"TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"}) {
    if (name == timed) return Rule::kTime;
  }
  if (name == "KEYS") return Rule::kSet;
  // What has expired is counted by redis-server until it is looked at.
  if (name == "DBSIZE") return settled ? Rule::kExact : Rule::kShape;
  const std::string second = args.size() > 1 ? absl::AsciiStrToUpper(args[1]) : "";
  if (second == "HELP") return Rule::kShape;
  if (name == "CLIENT") {
    return second == "ID" || second == "INFO" || second == "LIST" ? Rule::kShape : Rule::kExact;
  }
  if (name == "SCAN") return Rule::kScan;
  if (name == "CONFIG" && second == "GET") return Rule::kShape;
  if (name == "COMMAND" && second == "GETKEYS") return Rule::kExact;
  // What has expired takes memory there until it is looked at.
  if (name == "MEMORY" && second == "USAGE") return Rule::kLoose;
  for (const char* own : {"INFO", "LASTSAVE", "RANDOMKEY", "TIME", "OBJECT", "MEMORY", "COMMAND",
                          "HELLO", "SLOWLOG", "LATENCY"}) {
    if (name == own) return Rule::kShape;
  }
  return Rule::kExact;
}

bool Agree(Rule rule, bool in_milliseconds, const Reply& expected, const Reply& actual) {
  // Here a cursor is known or not; there any number is one.
  if (rule == Rule::kScan && expected.type == '*' &&
      absl::StrContains(actual.text, "invalid cursor: it is not known any more")) {
    return true;
  }
  if (rule == Rule::kExact || expected.is_error() || actual.is_error()) {
    return Same(expected, actual);
  }
  if (rule == Rule::kLoose && (expected.type == ':' || expected.is_null())) {
    return actual.type == ':' || actual.is_null();
  }
  if (expected.type != actual.type) return false;
  switch (rule) {
    case Rule::kExact:
    case Rule::kLoose:
    case Rule::kScan:
    case Rule::kShape:
      return true;
    case Rule::kTime: {
      int64_t a = 0;
      int64_t b = 0;
      if (!absl::SimpleAtoi(expected.text, &a) || !absl::SimpleAtoi(actual.text, &b)) return false;
      if (a <= 0 || b <= 0) return a == b;
      return std::abs(a - b) <= (in_milliseconds ? 2000 : 2);
    }
    case Rule::kSet: {
      std::vector<std::string> a;
      std::vector<std::string> b;
      for (const Reply& item : expected.items) a.push_back(item.text);
      for (const Reply& item : actual.items) b.push_back(item.text);
      std::sort(a.begin(), a.end());
      std::sort(b.begin(), b.end());
      return a == b;
    }
  }
  return false;
}

std::string Comparer::Compare(const std::vector<std::string>& args, bool settled,
                              absl::string_view expected_bytes, absl::string_view actual_bytes) {
  const std::string error =
      absl::StrCat("expected ", Escaped(expected_bytes), "\n  actual ", Escaped(actual_bytes));
  absl::string_view expected_left = expected_bytes;
  absl::string_view actual_left = actual_bytes;
  const std::optional<Reply> expected = TakeReply(&expected_left);
  const std::optional<Reply> actual = TakeReply(&actual_left);
  if (!expected || !actual) return error;
  const std::string name = NameOf(args);
  if (open_ && name == "EXEC" && args.size() == 1 && !expected->is_error() &&
      !expected->is_null()) {
    open_ = false;
    if (actual->is_null()) return kFalseConflict;
    if (expected->items.size() != queue_.size() || actual->items.size() != queue_.size()) {
      return error;
    }
    for (size_t i = 0; i < queue_.size(); ++i) {
      const std::vector<std::string>& queued = queue_[i].args;
      if (!Agree(RuleOf(queued, settled), InMilliseconds(queued), expected->items[i],
                 actual->items[i])) {
        return absl::StrCat(error, "\n  in the reply to ", Escaped(queued[0]));
      }
    }
    return "";
  }
  const bool queued = open_ && expected->type == '+' && expected->text == "QUEUED";
  const Rule rule = queued ? Rule::kExact : RuleOf(args, settled);
  // What is not taken apart must be the same to the byte: a null of RESP2 has two forms.
  const bool agree = rule == Rule::kExact ? expected_bytes == actual_bytes
                                          : Agree(rule, InMilliseconds(args), *expected, *actual);
  if (!agree) return error;
  if (queued) queue_.push_back({args});
  if (name == "MULTI" && expected->type == '+') {
    open_ = true;
    queue_.clear();
  }
  if ((name == "EXEC" || name == "DISCARD" || name == "RESET") &&
      (name == "EXEC" || !expected->is_error())) {
    open_ = false;
  }
  return "";
}

}  // namespace resp_differential
}  // namespace kvarts
