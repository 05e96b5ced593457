#ifndef KVARTS_NET_HTTP_ASSET_H_
#define KVARTS_NET_HTTP_ASSET_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts {

// A file that is part of the program: made by //tools:embed.bzl.
struct HttpAsset {
  absl::string_view name;   // "status.css"
  absl::string_view plain;  // empty: only the packed form is kept
  absl::string_view gzip;
  absl::string_view etag;  // with quotes
};

absl::Span<const HttpAsset> PageAssets();     // the files of net/http/pages/
absl::Span<const HttpAsset> SwaggerAssets();  // Swagger UI's, or none

// Null where there is none of that name.
inline const HttpAsset* FindAsset(absl::Span<const HttpAsset> assets, absl::string_view name) {
  for (const HttpAsset& asset : assets) {
    if (asset.name == name) return &asset;
  }
  return nullptr;
}

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_ASSET_H_
