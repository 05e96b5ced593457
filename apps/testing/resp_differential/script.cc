#include "apps/testing/resp_differential/script.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "apps/testing/programs.h"
#include "net/resp/parser.h"

namespace kvarts {
namespace resp_differential {
namespace {

constexpr char kFolder[] = "apps/testing/resp_differential/scripts";
constexpr char kPasswordFolder[] = "apps/testing/resp_differential/scripts_password";

// A place in a file that is not understood.
class Place {
 public:
  explicit Place(absl::string_view file) : file_(file) {}

  void NextLine(absl::string_view line) {
    ++number_;
    line_ = std::string(line);
  }
  [[noreturn]] void Fail(const char* why) const {
    std::fprintf(stderr, "%s:%d: %s: %s\n", file_.c_str(), number_, why, line_.c_str());
    std::abort();
  }

 private:
  const std::string file_;
  int number_ = 0;
  std::string line_;
};

std::string Repeated(absl::string_view text, int64_t times) {
  std::string all;
  all.reserve(text.size() * static_cast<size_t>(times));
  for (int64_t i = 0; i < times; ++i) absl::StrAppend(&all, text);
  return all;
}

// Puts in what stands for <...>.
std::string Expand(absl::string_view word, const Place& place) {
  const size_t begin = word.find('<');
  const size_t end = word.find('>', begin == absl::string_view::npos ? 0 : begin);
  if (begin == absl::string_view::npos || end == absl::string_view::npos) return std::string(word);
  const absl::string_view inner = word.substr(begin + 1, end - begin - 1);
  const size_t sign = inner.find_last_of("+*");
  int64_t number = 0;
  if (sign == absl::string_view::npos || !absl::SimpleAtoi(inner.substr(sign + 1), &number)) {
    place.Fail("what is this of <...>");
  }
  const absl::string_view what = inner.substr(0, sign);
  std::string text;
  if (inner[sign] == '*') {
    text = Repeated(what, number);
  } else if (what == "now") {
    text = absl::StrCat(absl::ToUnixSeconds(absl::Now()) + number);
  } else if (what == "now_ms") {
    text = absl::StrCat(absl::ToUnixMillis(absl::Now()) + number);
  } else {
    place.Fail("a time is <now+N> or <now_ms+N>");
  }
  return absl::StrCat(word.substr(0, begin), text, Expand(word.substr(end + 1), place));
}

std::vector<std::string> Words(absl::string_view line, const Place& place) {
  resp::RequestParser parser;
  const std::string request = absl::StrCat(line, "\r\n");
  const absl::Span<char> space = parser.Space();
  if (request.size() > space.size()) place.Fail("too long a line");
  std::copy(request.begin(), request.end(), space.begin());
  parser.Filled(request.size());
  if (parser.Next() != resp::RequestParser::Result::kRequest) place.Fail("no request");
  std::vector<std::string> words;
  for (const absl::string_view word : parser.args()) words.push_back(Expand(word, place));
  return words;
}

// Takes "12 " off.
size_t TakeNumber(absl::string_view* text, const Place& place) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(*text, absl::MaxSplits(' ', 1));
  size_t number = 0;
  if (!absl::SimpleAtoi(parts.first, &number)) place.Fail("no number");
  *text = parts.second;
  return number;
}

std::vector<Step> Steps(absl::string_view line, const Place& place) {
  Step step;
  if (line.size() > 2 && absl::ascii_isdigit(static_cast<unsigned char>(line[0])) &&
      line[1] == '>') {
    step.connection = line[0] - '0';
    line = absl::StripLeadingAsciiWhitespace(line.substr(2));
  }
  size_t times = 1;
  if (absl::ConsumePrefix(&line, "@raw ")) {
    step.form = Step::Form::kRaw;
    std::string bytes;
    if (!absl::CUnescape(line, &bytes)) place.Fail("wrong escapes");
    step.args = {Expand(bytes, place)};
    return {step};
  }
  if (absl::ConsumePrefix(&line, "@gone ")) {
    step.form = Step::Form::kUntilGone;
  } else if (absl::ConsumePrefix(&line, "@scan ")) {
    step.form = Step::Form::kScanAll;
    step.args = {"SCAN"};
  } else if (absl::ConsumePrefix(&line, "@repeat ")) {
    times = TakeNumber(&line, place);
  } else if (absl::StartsWith(line, "@")) {
    place.Fail("no such thing");
  }
  for (std::string& word : Words(line, place)) step.args.push_back(std::move(word));
  if (times == 1) return {step};
  std::vector<Step> steps;
  for (size_t i = 0; i < times; ++i) {
    Step one = step;
    for (std::string& word : one.args) word = absl::StrReplaceAll(word, {{"#", absl::StrCat(i)}});
    one.with_next = i + 1 < times;
    steps.push_back(std::move(one));
  }
  return steps;
}

// The ways in which a script is carried out.
void AddWays(const Script& script, std::vector<Script>* scripts) {
  int connections = 1;
  for (const Step& step : script.sequence.steps) {
    connections = std::max(connections, step.connection + 1);
  }
  for (const int protocol : {2, 3}) {
    for (const bool at_once : {false, true}) {
      Script way = script;
      absl::StrAppend(&way.name, " (RESP", protocol, at_once ? ", at once)" : ")");
      way.sequence.protocols.assign(static_cast<size_t>(connections), protocol);
      for (Step& step : way.sequence.steps) step.with_next = step.with_next || at_once;
      scripts->push_back(std::move(way));
    }
  }
}

}  // namespace

std::vector<Script> ParseScripts(absl::string_view file, absl::string_view text) {
  std::vector<Script> scripts;
  Script script;
  Place place(file);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    place.NextLine(line);
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    if (absl::ConsumePrefix(&line, "== ")) {
      if (!script.name.empty()) AddWays(script, &scripts);
      script = {absl::StrCat(file, ": ", line), {}};
      continue;
    }
    if (script.name.empty()) place.Fail("a script begins with ==");
    for (Step& step : Steps(line, place)) script.sequence.steps.push_back(std::move(step));
  }
  if (script.name.empty()) place.Fail("no scripts");
  AddWays(script, &scripts);
  return scripts;
}

std::vector<Script> AllScripts(bool with_password) {
  std::vector<std::string> paths;
  const char* const folder = with_password ? kPasswordFolder : kFolder;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Script> scripts;
  for (const std::string& path : paths) {
    for (Script& script : ParseScripts(path, ReadTestFile(path))) {
      scripts.push_back(std::move(script));
    }
  }
  return scripts;
}

}  // namespace resp_differential
}  // namespace kvarts
