#include "net/http/batch_request.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/http/json_events.h"
#include "storage/store.h"

namespace kvarts {
namespace {

namespace json = boost::json;

//   kStart ─{─▶ kObject ─"keys"─▶ kValue ─[─▶ kKeys ─{─▶ kKeyObject ─"base64"─▶ kBase64
//                  └──────────◀───────────]──────┘◀────────────}──── kKeyEnd ◀──┘
class KeysHandler final : public JsonEvents {
 public:
  explicit KeysHandler(size_t max_keys) : max_keys_(max_keys) {}

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
  bool on_key_part(Text part, std::size_t, Error& error) { return Add(part, error); }
  bool on_key(Text part, std::size_t, Error& error) {
    if (!Add(part, error)) return false;
    const std::string name = std::exchange(text_, "");
    if (state_ == State::kObject && name == "keys" && !seen_keys_) return Go(State::kValue);
    if (state_ == State::kKeyObject && name == "base64") return Go(State::kBase64);
    return Unexpected(error);
  }
  bool on_string_part(Text part, std::size_t, Error& error) { return Add(part, error); }
  bool on_string(Text part, std::size_t, Error& error) {
    if (state_ != State::kKeys && state_ != State::kBase64) return Unexpected(error);
    if (!Add(part, error)) return false;
    if (keys.size() == max_keys_) {
      return Fail(absl::StrCat("more than ", max_keys_, " keys in a request"), error);
    }
    std::string key = std::exchange(text_, "");
    if (state_ == State::kBase64) {
      if (!DecodeBase64(&key)) {
        return Fail(absl::StrCat("keys[", keys.size(), "] is not base64"), error);
      }
      Go(State::kKeyEnd);
    }
    if (key.size() > kMaxKeyBytes) {
      return Fail(absl::StrCat("keys[", keys.size(), "]: ", CheckKey(key).message()), error);
    }
    keys.push_back(std::move(key));
    return true;
  }
  bool on_number_part(Text, Error& error) { return Unexpected(error); }
  bool on_int64(std::int64_t, Text, Error& error) { return Unexpected(error); }
  bool on_uint64(std::uint64_t, Text, Error& error) { return Unexpected(error); }
  bool on_double(double, Text, Error& error) { return Unexpected(error); }
  bool on_bool(bool, Error& error) { return Unexpected(error); }
  bool on_null(Error& error) { return Unexpected(error); }

  std::vector<std::string> keys;

 private:
  enum class State { kStart, kObject, kValue, kKeys, kKeyObject, kBase64, kKeyEnd, kEnd };

  bool Go(State state) {
    state_ = state;
    return true;
  }
  bool Add(Text part, Error& error) {
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

  const size_t max_keys_;
  State state_ = State::kStart;
  bool seen_keys_ = false;
  std::string text_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseBatchKeys(absl::string_view json_text,
                                                        size_t max_keys) {
  json::basic_parser<KeysHandler> parser(json::parse_options(), max_keys);
  if (absl::Status status = ParseJsonEvents(json_text, &parser); !status.ok()) return status;
  return std::move(parser.handler().keys);
}

}  // namespace kvarts
