// Prints the OpenAPI document: for validators, and for who generates a client.

#include <cstdio>

#include "net/http/openapi.h"
#include "net/http/routes.h"

int main() {
  std::fputs(kvarts::OpenApiDocument(kvarts::HttpRoutes()).c_str(), stdout);
  return 0;
}
