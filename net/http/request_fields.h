#ifndef KVARTS_NET_HTTP_REQUEST_FIELDS_H_
#define KVARTS_NET_HTTP_REQUEST_FIELDS_H_

#include "absl/types/optional.h"
#include "net/http/message.h"
#include "net/http/route.h"

namespace kvarts {

// The refusal of a request whose header fields ask for what `route` does not do: a
// part of a value, an encoded body, another method, a condition that nobody would
// look at. What RFC 9110 lets a server leave out is left out. README.md has the list.
// Asked for when the head is there, before the body. nullopt: the request may go on.
absl::optional<HttpResponse> RefuseFields(const HttpRoute& route, const HttpRequest& request);

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_REQUEST_FIELDS_H_
