#include "net/http/request_fields.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "net/http/handlers.h"

namespace kvarts {
namespace {

using Refusal = absl::optional<HttpResponse>;

// Fields that have one value, of those that are read here; Host and Content-Length are
// the parser's. Two of them are two requests in one, and proxies take either.
constexpr absl::string_view kSingleFields[] = {"Authorization", "Content-Type"};

// No standard has them, but libraries send them for methods that a proxy would stop: the
// request is then meant as another one.
constexpr absl::string_view kMethodFields[] = {"X-HTTP-Method-Override", "X-HTTP-Method",
                                               "X-Method-Override"};

// False for the names of fields that nothing below looks at, and so for most requests.
bool MayMatter(absl::string_view name) {
  switch (absl::ascii_tolower(static_cast<unsigned char>(name[0]))) {
    case 'a':
      return absl::EqualsIgnoreCase(name, "Authorization");
    case 'c':
      return absl::StartsWithIgnoreCase(name, "Content-");
    case 'e':
    case 'i':
    case 'x':
      return true;
    default:
      return false;
  }
}

bool TakesField(const HttpRoute& route, absl::string_view name) {
  return std::any_of(route.parameters.begin(), route.parameters.end(), [&](const auto& parameter) {
    return parameter.in == HttpParameter::In::kHeader && name == parameter.name;
  });
}

Refusal RefuseRepeated(const HttpRequest& request) {
  for (const absl::string_view name : kSingleFields) {
    const auto count =
        std::count_if(request.fields.begin(), request.fields.end(),
                      [&](const auto& field) { return absl::EqualsIgnoreCase(field.first, name); });
    if (count > 1) return HttpError(400, absl::StrCat("expected one ", name, " field"));
  }
  return absl::nullopt;
}

Refusal RefuseOtherMethod(const HttpRequest& request) {
  for (const auto& [name, value] : request.fields) {
    for (const absl::string_view known : kMethodFields) {
      if (!absl::EqualsIgnoreCase(name, known)) continue;
      if (absl::EqualsIgnoreCase(value, request.method)) continue;
      return HttpError(400, absl::StrCat(known, ": the method is that of the request line, ",
                                         request.method, "; no field changes it"));
    }
  }
  return absl::nullopt;
}

// What the body is, where it means something.
Refusal RefuseBody(const HttpRoute& route, const HttpRequest& request) {
  if (request.Find("Content-Range") != nullptr) {
    return HttpError(400, "Content-Range: no part of a body is taken; send it as a whole");
  }
  const absl::optional<std::string> codings = request.List("Content-Encoding");
  for (const absl::string_view part :
       absl::StrSplit(codings.value_or(""), ',', absl::SkipWhitespace())) {
    const absl::string_view coding = absl::StripAsciiWhitespace(part);
    if (absl::EqualsIgnoreCase(coding, "identity")) continue;
    HttpResponse response = HttpError(
        415, "Content-Encoding: a body is taken as it is, without an encoding; expected identity");
    response.AddField("Accept-Encoding", "identity");  // RFC 9110, section 15.5.16
    return response;
  }
  const std::string* const type = request.Find("Content-Type");
  if (type == nullptr || route.body.content_type != absl::string_view("application/json")) {
    return absl::nullopt;
  }
  for (const absl::string_view part : absl::StrSplit(*type, ';')) {
    const std::pair<absl::string_view, absl::string_view> parameter =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (!absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(parameter.first), "charset")) continue;
    const absl::string_view value = absl::StripAsciiWhitespace(parameter.second);
    const std::string charset = absl::AsciiStrToLower(absl::StrReplaceAll(value, {{"\"", ""}}));
    if (charset == "utf-8" || charset == "utf8" || charset == "us-ascii") continue;
    return HttpError(415, "Content-Type: the charset of JSON is UTF-8");
  }
  return absl::nullopt;
}

Refusal RefuseConditions(const HttpRoute& route, const HttpRequest& request) {
  for (const absl::string_view name : {"If-Match", "If-None-Match"}) {
    const absl::optional<std::string> list = request.List(name);
    if (!list.has_value()) continue;
    const bool takes = TakesField(route, name);
    if (route.writes) {
      // Who makes a condition must not write without it.
      if (!takes) {
        return HttpError(
            400, absl::StrCat(name, ": conditions are in the body here, as \"if\" of the batch"));
      }
      if (!IsEtagList(*list)) {
        return HttpError(400, absl::StrCat(name, ": expected * or ETags in their quotes"));
      }
    } else if (!takes && name == "If-Match" && *list != "*") {
      return HttpError(412, "If-Match: what is here has no such ETag");
    }
  }
  return absl::nullopt;
}

// An expectation of HTTP/1.0 is left out (RFC 9110, section 10.1.1).
Refusal RefuseExpectation(const HttpRequest& request) {
  const absl::optional<std::string> list = request.List("Expect");
  if (!list.has_value() || request.http_1_0) return absl::nullopt;
  for (const absl::string_view part : absl::StrSplit(*list, ',', absl::SkipWhitespace())) {
    if (!absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(part), "100-continue")) {
      return HttpError(417, "the only expectation known is 100-continue");
    }
  }
  return absl::nullopt;
}

}  // namespace

absl::optional<HttpResponse> RefuseFields(const HttpRoute& route, const HttpRequest& request) {
  if (std::none_of(request.fields.begin(), request.fields.end(),
                   [](const auto& field) { return MayMatter(field.first); })) {
    return absl::nullopt;
  }
  Refusal refusal = RefuseRepeated(request);
  if (!refusal) refusal = RefuseOtherMethod(request);
  if (!refusal && route.body.content_type != nullptr) refusal = RefuseBody(route, request);
  if (!refusal && route.writes && request.Find("X-Expires-At-Ms") != nullptr) {
    refusal = HttpError(400,
                        "X-Expires-At-Ms is a field of answers; a request says expires_at_ms, in "
                        "the query of a PUT or in a batch");
  }
  if (!refusal) refusal = RefuseConditions(route, request);
  if (!refusal) refusal = RefuseExpectation(request);
  return refusal;
}

}  // namespace kvarts
