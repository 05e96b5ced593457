#include "net/http/batch_request.h"

#include <boost/json/basic_parser_impl.hpp>
// The library itself, headers only: no package beyond Boost's headers.
#include <boost/json/src.hpp>
#include <cstdint>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "storage/store.h"

namespace kvarts {
namespace {

namespace json = boost::json;
using Error = boost::system::error_code;

// What Boost.JSON's parser tells of a document, held against the one form that
// is allowed. Each event returns false, with `message`, where it does not fit.
//
//   kStart ─{─▶ kObject ─"keys"─▶ kValue ─[─▶ kKeys ─{─▶ kKeyObject ─"base64"─▶ kBase64
//                  └──────────◀───────────]──────┘◀────────────}──── kKeyEnd ◀──┘
class KeysHandler {
 public:
  // Boost.JSON takes these as limits of its own; ours have better messages.
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  explicit KeysHandler(size_t max_keys) : max_keys_(max_keys) {}

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }

  bool on_object_begin(Error& error) {
    if (state_ == State::kStart) return Go(State::kObject);
    if (state_ == State::kKeys) return Go(State::kKeyObject);
    return Unexpected(error);
  }
  bool on_object_end(std::size_t, Error& error) {
    if (state_ == State::kObject && seen_keys_) return Go(State::kEnd);
    if (state_ == State::kKeyEnd) return Go(State::kKeys);
    return Unexpected(error);
  }
  bool on_array_begin(Error& error) {
    if (state_ != State::kValue) return Unexpected(error);
    seen_keys_ = true;
    return Go(State::kKeys);
  }
  bool on_array_end(std::size_t, Error& error) {
    return state_ == State::kKeys ? Go(State::kObject) : Unexpected(error);
  }
  bool on_key_part(json::string_view part, std::size_t, Error& error) { return Add(part, error); }
  bool on_key(json::string_view part, std::size_t, Error& error) {
    if (!Add(part, error)) return false;
    const std::string name = std::exchange(text_, "");
    if (state_ == State::kObject && name == "keys" && !seen_keys_) return Go(State::kValue);
    if (state_ == State::kKeyObject && name == "base64") return Go(State::kBase64);
    return Unexpected(error);
  }
  bool on_string_part(json::string_view part, std::size_t, Error& error) {
    return Add(part, error);
  }
  bool on_string(json::string_view part, std::size_t, Error& error) {
    if (state_ != State::kKeys && state_ != State::kBase64) return Unexpected(error);
    if (!Add(part, error)) return false;
    if (keys.size() == max_keys_) {
      return Fail(absl::StrCat("more than ", max_keys_, " keys in a request"), error);
    }
    std::string key = std::exchange(text_, "");
    if (state_ == State::kBase64) {
      std::string decoded;
      if (!absl::Base64Unescape(key, &decoded) && !absl::WebSafeBase64Unescape(key, &decoded)) {
        return Fail(absl::StrCat("keys[", keys.size(), "] is not base64"), error);
      }
      key = std::move(decoded);
      Go(State::kKeyEnd);
    }
    if (key.size() > kMaxKeyBytes) {
      return Fail(absl::StrCat("keys[", keys.size(), "]: ", CheckKey(key).message()), error);
    }
    keys.push_back(std::move(key));
    return true;
  }
  bool on_number_part(json::string_view, Error& error) { return Unexpected(error); }
  bool on_int64(std::int64_t, json::string_view, Error& error) { return Unexpected(error); }
  bool on_uint64(std::uint64_t, json::string_view, Error& error) { return Unexpected(error); }
  bool on_double(double, json::string_view, Error& error) { return Unexpected(error); }
  bool on_bool(bool, Error& error) { return Unexpected(error); }
  bool on_null(Error& error) { return Unexpected(error); }
  bool on_comment_part(json::string_view, Error&) { return true; }
  bool on_comment(json::string_view, Error&) { return true; }

  std::vector<std::string> keys;
  std::string message;

 private:
  enum class State { kStart, kObject, kValue, kKeys, kKeyObject, kBase64, kKeyEnd, kEnd };

  bool Go(State state) {
    state_ = state;
    return true;
  }
  bool Add(json::string_view part, Error& error) {
    // In base64 a key is a third longer.
    if (text_.size() + part.size() > 2 * kMaxKeyBytes) {
      return Fail(absl::StrCat("keys[", keys.size(), "] is longer than ", kMaxKeyBytes, " bytes"),
                  error);
    }
    text_.append(part.data(), part.size());
    return true;
  }
  bool Unexpected(Error& error) {
    if (state_ == State::kKeys || state_ == State::kKeyObject || state_ == State::kBase64 ||
        state_ == State::kKeyEnd) {
      return Fail(absl::StrCat("keys[", keys.size(),
                               "] is neither a string nor an object {\"base64\": \"...\"}"),
                  error);
    }
    return Fail("expected {\"keys\": [\"...\", ...]} and nothing beside it", error);
  }
  bool Fail(std::string text, Error& error) {
    message = std::move(text);
    error = json::make_error_code(json::error::syntax);
    return false;
  }

  const size_t max_keys_;
  State state_ = State::kStart;
  bool seen_keys_ = false;
  std::string text_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseBatchKeys(absl::string_view json_text,
                                                        size_t max_keys) {
  json::basic_parser<KeysHandler> parser(json::parse_options(), max_keys);
  Error error;
  const size_t used = parser.write_some(/*more=*/false, json_text.data(), json_text.size(), error);
  const std::string& message = parser.handler().message;
  if (!message.empty()) return absl::InvalidArgumentError(message);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("the body is not JSON: ", error.message(), " at byte ", used));
  }
  if (used != json_text.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the body goes on behind its JSON, at byte ", used));
  }
  return std::move(parser.handler().keys);
}

}  // namespace kvarts
