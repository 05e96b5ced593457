#ifndef KVARTS_NET_HTTP_JSON_EVENTS_H_
#define KVARTS_NET_HTTP_JSON_EVENTS_H_

#include <boost/json/basic_parser_impl.hpp>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// What handlers of Boost.JSON's parser have in common. Such a handler is told of a
// document event by event, and holds it against the one form that is allowed: each
// event returns false, with `message`, where it does not fit. Not thread-safe. For the
// .cc files of this folder: the parser is long to compile.
class JsonEvents {
 public:
  using Error = boost::system::error_code;
  using Text = boost::json::string_view;

  // Boost.JSON takes these as limits of its own; ours have better messages.
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_comment_part(Text, Error&) { return true; }
  bool on_comment(Text, Error&) { return true; }

  std::string message;

 protected:
  bool Fail(std::string text, Error& error) {
    message = std::move(text);
    error = boost::json::make_error_code(boost::json::error::syntax);
    return false;
  }
  // In place: base64 in either alphabet, padded or not, to what it stands for.
  static bool DecodeBase64(std::string* text) {
    std::string decoded;
    if (!absl::Base64Unescape(*text, &decoded) && !absl::WebSafeBase64Unescape(*text, &decoded)) {
      return false;
    }
    *text = std::move(decoded);
    return true;
  }
};

// Tells the parser's handler of `text`, which must be one document and nothing behind
// it. kInvalidArgument with the handler's message, or with the offset of what is no JSON,
// where `text` is called `what`.
template <typename Handler>
absl::Status ParseJsonEvents(absl::string_view text, boost::json::basic_parser<Handler>* parser,
                             absl::string_view what = "the body") {
  boost::system::error_code error;
  const size_t used = parser->write_some(/*more=*/false, text.data(), text.size(), error);
  if (const std::string& message = parser->handler().message; !message.empty()) {
    return absl::InvalidArgumentError(message);
  }
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " is not JSON: ", error.message(), " at byte ", used));
  }
  if (used != text.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " goes on behind its JSON, at byte ", used));
  }
  return absl::OkStatus();
}

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_JSON_EVENTS_H_
