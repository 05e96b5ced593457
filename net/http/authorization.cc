#include "net/http/authorization.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "base/secret.h"

namespace kvarts {
namespace {

// "Basic  dGVzdA==" is "dGVzdA==" for "Basic"; schemes are in any case.
bool TakeScheme(absl::string_view scheme, absl::string_view* field) {
  if (!absl::StartsWithIgnoreCase(*field, scheme)) return false;
  absl::string_view rest = field->substr(scheme.size());
  if (rest.empty() || rest[0] != ' ') return false;
  *field = absl::StripAsciiWhitespace(rest);
  return true;
}

}  // namespace

bool IsAuthorized(const HttpRequest& request, absl::string_view password) {
  const std::string* const given = request.Find("Authorization");
  if (given == nullptr) return false;
  absl::string_view field = *given;
  if (TakeScheme("Bearer", &field)) return SameSecret(field, password);
  if (!TakeScheme("Basic", &field)) return false;
  std::string decoded;
  if (!absl::Base64Unescape(field, &decoded)) return false;
  const size_t colon = decoded.find(':');
  return colon != std::string::npos &&
         SameSecret(absl::string_view(decoded).substr(colon + 1), password);
}

HttpResponse UnauthorizedAnswer() {
  HttpResponse response =
      HttpError(401, "the server asks for its password: Basic with any user, or Bearer");
  response.AddField("WWW-Authenticate", "Basic realm=\"kvarts\", charset=\"UTF-8\"");
  return response;
}

}  // namespace kvarts
