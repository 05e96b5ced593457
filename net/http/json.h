#ifndef KVARTS_NET_HTTP_JSON_H_
#define KVARTS_NET_HTTP_JSON_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace kvarts {

// Bytes in JSON, both ways: a string where they are UTF-8 and that is not the longer one, else an
// object that holds them in base64. "é" is "é", the byte FF is {"base64":"/w=="}.

bool IsUtf8(absl::string_view bytes);

// Not thread-safe. Writes bytes of any length in parts.
class JsonBytesWriter {
 public:
  // The bytes must live until Append() has returned true. `base64`: whatever they are.
  void Start(absl::string_view bytes, bool base64 = false);
  // Appends until `out` has about `size` bytes. True when all is written.
  bool Append(size_t size, std::string* out);

 private:
  absl::string_view rest_;
  bool text_ = true;
  bool begun_ = false;
};

void AppendJsonBytes(absl::string_view bytes, std::string* out, bool base64 = false);

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_JSON_H_
