#ifndef KVARTS_NET_HTTP_AUTHORIZATION_H_
#define KVARTS_NET_HTTP_AUTHORIZATION_H_

#include "absl/strings/string_view.h"
#include "net/http/message.h"

namespace kvarts {

// Whether the request gives `password`: "Basic" with any user name, or "Bearer".
bool IsAuthorized(const HttpRequest& request, absl::string_view password);

// 401, with the field that makes a browser ask.
HttpResponse UnauthorizedAnswer();

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_AUTHORIZATION_H_
