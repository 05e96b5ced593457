#ifndef KVARTS_NET_HTTP_OPENAPI_H_
#define KVARTS_NET_HTTP_OPENAPI_H_

#include <string>

#include "absl/types/span.h"
#include "net/http/route.h"

namespace kvarts {

// The OpenAPI 3.1 document of `routes`, in JSON.
std::string OpenApiDocument(absl::Span<const HttpRoute> routes);

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_OPENAPI_H_
