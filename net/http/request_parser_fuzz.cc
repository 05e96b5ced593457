// Any bytes, in any cuts: the parser ends, holds its limits, and gives the same
// requests as in one piece. The first byte chooses the cut.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "net/http/message.h"
#include "net/http/request_parser.h"
#include "net/http/routes.h"

namespace {

using kvarts::HttpRequestParser;
using Step = HttpRequestParser::Step;

void Check(bool condition) {
  if (!condition) std::abort();
}

// All that was understood, as one text.
std::string ParseAll(absl::string_view stream, size_t chunk) {
  kvarts::HttpLimits limits;
  limits.target = 512;
  limits.fields = 512;
  limits.field_count = 8;
  HttpRequestParser parser(limits);
  std::string seen;
  std::string input;
  while (true) {
    size_t used = 0;
    const Step step = parser.Parse(input, &used);
    Check(used <= input.size());
    input.erase(0, used);
    if (step == Step::kNeedMore) {
      Check(input.size() <= limits.target + limits.fields + 32);
      if (stream.empty()) return seen;
      const absl::string_view next = stream.substr(0, chunk);
      absl::StrAppend(&input, next);
      stream.remove_prefix(next.size());
    } else if (step == Step::kHead) {
      parser.SetBodyLimit(256);
      const kvarts::HttpRequest& request = parser.request();
      kvarts::HttpMatch match;
      kvarts::MatchRoute(kvarts::HttpRoutes(), request.method, request.target, &match);
      Check(match.route != nullptr || match.error->status >= 400);
      absl::StrAppend(&seen, request.method, " ", request.target, " ", request.fields.size(), "\n");
    } else if (step == Step::kDone) {
      Check(parser.request().body.size() <= 256);
      Check(parser.request().fields.size() <= 8);
      absl::StrAppend(&seen, parser.request().body, "\n");
      parser.Reset();
    } else {
      Check(parser.status() >= 400 && !parser.message().empty());
      return seen;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string cut = ParseAll(stream, data[0] + size_t{1});
  const std::string whole = ParseAll(stream, stream.size() + 1);
  // A fault may be seen earlier or later, but what comes before it is the same.
  Check(cut == whole);
  return 0;
}
