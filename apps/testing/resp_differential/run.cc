#include "apps/testing/resp_differential/run.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/testing/resp_differential/compare.h"
#include "apps/testing/resp_differential/reply.h"
#include "net/resp/session_harness.h"

namespace kvarts {
namespace resp_differential {
namespace {

std::string Request(const std::vector<std::string>& args) {
  return resp::Request(std::vector<absl::string_view>(args.begin(), args.end()));
}

// A longer line is an error of the protocol.
constexpr size_t kLongestLine = 60000;

std::string Line(const std::vector<std::string>& args) {
  std::string line;
  for (const std::string& arg : args) {
    absl::StrAppend(&line, line.empty() ? "\"" : " \"");
    for (const char c : arg) {
      const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c));
      absl::StrAppend(&line, plain ? std::string(1, c)
                                   : absl::StrCat("\\x", absl::Hex(c & 0xff, absl::kZeroPad2)));
    }
    absl::StrAppend(&line, "\"");
  }
  return absl::StrCat(line, "\r\n");
}

std::string Request(const Step& step) {
  if (step.form == Step::Form::kLine) {
    std::string line = Line(step.args);
    if (line.size() <= kLongestLine) return line;
  }
  return Request(step.args);
}

// All keys of a SCAN that is gone on with to its end, or its error.
std::string ScanAll(const Step& step, Peer* peer) {
  std::vector<std::string> args = step.args;
  std::set<std::string> keys;
  for (int page = 0; page < 5000; ++page) {
    const std::vector<std::string> replies = peer->Ask(step.connection, Request(args), 1);
    if (replies.empty()) return "no reply";
    absl::string_view bytes = replies[0];
    const std::optional<Reply> reply = TakeReply(&bytes);
    if (!reply || reply->items.size() != 2) return replies[0];
    for (const Reply& key : reply->items[1].items) keys.insert(key.text);
    args[1] = reply->items[0].text;
    if (args[1] == "0") {
      std::string text;
      for (const std::string& key : keys) absl::StrAppend(&text, Escaped(key), "\n");
      return text;
    }
  }
  return "a scan without an end";
}

// On a connection of its own, so that the sequence's may be within a transaction.
std::string WaitUntilGone(const Step& step, Peer* peer) {
  constexpr int kAskers = 1000;
  const std::string request = Request({"EXISTS", step.args[0]});
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (absl::Now() < end) {
    const std::vector<std::string> replies = peer->Ask(kAskers, request, 1);
    if (replies != std::vector<std::string>{":1\r\n"}) return replies.empty() ? "" : replies[0];
  }
  return "still there";
}

std::string AskAlone(const Step& step, Peer* peer) {
  switch (step.form) {
    case Step::Form::kScanAll:
      return ScanAll(step, peer);
    case Step::Form::kRaw:
      return peer->AskToTheEnd(step.args[0]);
    default:
      return WaitUntilGone(step, peer);
  }
}

}  // namespace

std::string Compare(const Sequence& sequence, Peer* expected, Peer* actual,
                    uint64_t* false_conflicts) {
  expected->Reset();
  actual->Reset();
  std::vector<Comparer> comparers(sequence.protocols.size());
  for (size_t i = 0; i < sequence.protocols.size(); ++i) {
    const std::string hello = Request({"HELLO", absl::StrCat(sequence.protocols[i])});
    expected->Ask(static_cast<int>(i), hello, 1);
    actual->Ask(static_cast<int>(i), hello, 1);
  }
  for (size_t i = 0; i < sequence.steps.size();) {
    const Step& first = sequence.steps[i];
    if (!first.is_plain()) {
      const std::string wanted = AskAlone(first, expected);
      const std::string got = AskAlone(first, actual);
      if (wanted != got) {
        return absl::StrCat(ToText(first), "\nexpected ", Escaped(wanted), "\n  actual ",
                            Escaped(got));
      }
      ++i;
      continue;
    }
    size_t end = i + 1;
    std::string requests = Request(first);
    while (end < sequence.steps.size() && sequence.steps[end - 1].with_next &&
           sequence.steps[end].connection == first.connection && sequence.steps[end].is_plain()) {
      requests += Request(sequence.steps[end++]);
    }
    const std::vector<std::string> wanted = expected->Ask(first.connection, requests, end - i);
    const std::vector<std::string> got = actual->Ask(first.connection, requests, end - i);
    for (size_t k = i; k < end; ++k) {
      const size_t at = k - i;
      const Step& step = sequence.steps[k];
      const std::string error = comparers[static_cast<size_t>(step.connection)].Compare(
          step.args, step.settled, at < wanted.size() ? wanted[at] : "no reply",
          at < got.size() ? got[at] : "no reply");
      if (error == kFalseConflict && false_conflicts != nullptr) {
        ++*false_conflicts;
        return "";
      }
      if (!error.empty()) return absl::StrCat(ToText(step), "\n", error);
    }
    if (wanted.size() != got.size())
      return absl::StrCat("more replies than requests: ", got.back());
    i = end;
  }
  return "";
}

Sequence Shrink(Sequence sequence, Peer* expected, Peer* actual, uint64_t* false_conflicts,
                int runs) {
  for (size_t size = sequence.steps.size() / 2; size > 0 && runs > 0; size /= 2) {
    for (size_t at = 0; at < sequence.steps.size() && runs > 0;) {
      Sequence fewer = sequence;
      const auto begin = fewer.steps.begin() + static_cast<std::ptrdiff_t>(at);
      const size_t n = std::min(size, fewer.steps.size() - at);
      fewer.steps.erase(begin, begin + static_cast<std::ptrdiff_t>(n));
      --runs;
      if (Compare(fewer, expected, actual, false_conflicts).empty()) {
        at += n;
      } else {
        sequence = std::move(fewer);
      }
    }
  }
  return sequence;
}

}  // namespace resp_differential
}  // namespace kvarts
