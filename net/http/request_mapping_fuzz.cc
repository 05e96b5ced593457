// Any request, to the handlers over a small store: each answer is whole, its JSON
// is JSON, its head is one head, and what was decoded encodes to the same again.

#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/percent.h"
#include "net/http/message.h"
#include "net/http/request_fields.h"
#include "net/http/request_parser.h"
#include "net/http/routes.h"
#include "storage/store.h"
#include "testing/model/model_store.h"

namespace {

using kvarts::HttpCall;
using kvarts::HttpMatch;
using kvarts::HttpRequestParser;

void Check(bool condition) {
  if (!condition) std::abort();
}

std::unique_ptr<kvarts::Store> NewStore() {
  kvarts::ModelStoreOptions options;
  options.records = {{"a", "1"},
                     {"b/c", "two \"words\""},
                     {"\xff", std::string("\x00\xfe", 2)},
                     {"", ""},
                     {"large", std::string(20'000, 'l')}};
  return kvarts::NewModelStore(std::move(options));
}

HttpMatch Match(absl::string_view method, absl::string_view target) {
  HttpMatch match;
  kvarts::MatchRoute(kvarts::HttpRoutes(), method, target, &match);
  return match;
}

void CheckKey(const std::string& key) {
  HttpMatch match = Match("GET", absl::StrCat("/v1/kv/", kvarts::PercentEncode(key)));
  // The empty one is said in base64 alone.
  Check((match.route == nullptr) == key.empty() && match.parameter == key);
  match =
      Match("GET", absl::StrCat("/v1/kv/", absl::WebSafeBase64Escape(key), "?key_encoding=base64"));
  Check(match.route != nullptr && match.parameter == key);
}

void CheckResponse(kvarts::HttpResponse* response) {
  Check(response->status >= 200 && response->status < 600);
  std::string head;
  kvarts::AppendHttpHead(*response, {"D", false, false}, &head);
  Check(absl::EndsWith(head, "\r\n\r\n") && head.find("\r\n\r\n") + 4 == head.size());
  for (size_t at = head.find('\n'); at != std::string::npos; at = head.find('\n', at + 1)) {
    Check(head[at - 1] == '\r');
  }
  std::string body = response->has_lent ? std::string(response->lent) : std::move(response->body);
  for (bool more = response->source != nullptr; more;) {
    Check(response->source->Next(&body, &more).ok());
  }
  if (response->content_type == "application/json") {
    boost::system::error_code error;
    boost::json::parse(boost::json::string_view(body.data(), body.size()), error);
    Check(!error);
  }
}

void Answer(HttpCall* call, kvarts::Store* store) {
  HttpMatch match = Match(call->request.method, call->request.target);
  if (match.route == nullptr) {
    Check(match.error.has_value() && match.error->status >= 400);
    return CheckResponse(&*match.error);
  }
  if (absl::EndsWith(match.route->path, "{key}")) CheckKey(match.parameter);
  if (auto refusal = kvarts::RefuseFields(*match.route, call->request)) {
    Check(refusal->status >= 400);
    return CheckResponse(&*refusal);
  }
  call->parameter = std::move(match.parameter);
  call->query = std::move(match.query);
  const kvarts::HttpServerInfo info;
  match.route->handle({store, &info}, absl::MakeSpan(call, 1));
  CheckResponse(&call->response);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  absl::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::unique_ptr<kvarts::Store> store = NewStore();
  HttpRequestParser parser;
  while (true) {
    size_t used = 0;
    const HttpRequestParser::Step step = parser.Parse(rest, &used);
    rest.remove_prefix(used);
    if (step == HttpRequestParser::Step::kHead) {
      parser.SetBodyLimit(64 << 10);
    } else if (step == HttpRequestParser::Step::kDone) {
      HttpCall call;
      std::swap(call.request, parser.request());
      parser.Reset();
      Answer(&call, store.get());
    } else {
      return 0;
    }
  }
}
