#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/optional.h"
#include "net/http/asset.h"
#include "net/http/handlers.h"
#include "net/http/openapi.h"
#include "net/http/routes.h"

namespace kvarts {
namespace {

// No address but this server's: pages work offline, and an injected text cannot
// load or send anything.
constexpr absl::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
// Swagger UI writes style attributes and the images in its style sheet are data.
constexpr absl::string_view kSwaggerPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

absl::string_view ContentType(absl::string_view name) {
  if (absl::EndsWith(name, ".html")) return "text/html; charset=utf-8";
  if (absl::EndsWith(name, ".css")) return "text/css; charset=utf-8";
  if (absl::EndsWith(name, ".js")) return "text/javascript; charset=utf-8";
  if (absl::EndsWith(name, ".svg")) return "image/svg+xml";
  return "text/plain; charset=utf-8";
}

// RFC 9110, section 12.5.3: without the field any coding will do. `accepted` is the
// list of its fields; what it says of gzip counts more than what it says of "*".
bool TakesGzip(const absl::optional<std::string>& accepted) {
  if (!accepted.has_value()) return true;
  bool takes = false;
  for (const absl::string_view part : absl::StrSplit(*accepted, ',')) {
    const std::pair<absl::string_view, absl::string_view> coding =
        absl::StrSplit(part, absl::MaxSplits(';', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(coding.first);
    const bool is_gzip = absl::EqualsIgnoreCase(name, "gzip");
    if (!is_gzip && name != "*") continue;
    const absl::string_view weight = absl::StripAsciiWhitespace(coding.second);
    takes = weight.empty() || weight.find_first_of("123456789") != absl::string_view::npos;
    if (is_gzip) return takes;
  }
  return takes;
}

void Lend(absl::string_view bytes, HttpResponse* response) {
  response->has_lent = true;  // a constant: needs no owner
  response->lent = bytes;
}

void AnswerAsset(const HttpAsset* asset, absl::string_view policy, HttpCall* call) {
  HttpResponse* const response = &call->response;
  if (asset == nullptr) return SetHttpError(404, "there is no such file", response, "no_such_file");
  const absl::optional<std::string> accepted = call->request.List("Accept-Encoding");
  const bool packed = TakesGzip(accepted) && (asset->plain.empty() || accepted.has_value());
  if (!packed && asset->plain.empty()) {
    return SetHttpError(406, "this file is kept in gzip only", response);
  }
  response->content_type = std::string(ContentType(asset->name));
  response->AddField("ETag", absl::StrCat("W/", asset->etag));  // of both codings
  response->AddField("Cache-Control", "no-cache");  // kept, and asked for again by its ETag
  response->AddField("Vary", "Accept-Encoding");
  response->AddField("Content-Security-Policy", policy);
  response->AddField("X-Content-Type-Options", "nosniff");
  response->AddField("Referrer-Policy", "no-referrer");
  const absl::optional<std::string> known = call->request.List("If-None-Match");
  if (known.has_value() && EtagInList(*known, asset->etag, /*weak=*/true)) {
    response->status = 304;
    return;
  }
  if (packed) response->AddField("Content-Encoding", "gzip");
  Lend(packed ? asset->gzip : asset->plain, response);
}

}  // namespace

void StatusPage(const HttpContext&, HttpCall* call) {
  AnswerAsset(FindAsset(PageAssets(), "status.html"), kPagePolicy, call);
}

void PageFile(const HttpContext&, HttpCall* call) {
  AnswerAsset(FindAsset(PageAssets(), call->parameter), kPagePolicy, call);
}

void DocsPage(const HttpContext&, HttpCall* call) {
  const bool swagger = FindAsset(SwaggerAssets(), "swagger-ui-bundle.js") != nullptr;
  AnswerAsset(FindAsset(PageAssets(), swagger ? "docs.html" : "docs_plain.html"),
              swagger ? kSwaggerPolicy : kPagePolicy, call);
}

void DocsFile(const HttpContext&, HttpCall* call) {
  AnswerAsset(FindAsset(SwaggerAssets(), call->parameter), kSwaggerPolicy, call);
}

void OpenApi(const HttpContext&, HttpCall* call) {
  static const std::string* const document = new std::string(OpenApiDocument(HttpRoutes()));
  call->response.content_type = "application/json";
  Lend(*document, &call->response);
}

}  // namespace kvarts
