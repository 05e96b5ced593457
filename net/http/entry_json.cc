#include "net/http/entry_json.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/http/json.h"
#include "net/http/json_events.h"
#include "storage/store.h"

namespace kvarts {
namespace {

namespace json = boost::json;

//   kStart ─{─▶ kMembers ─name─▶ kMember ─{─▶ kBytes ─"base64"─▶ kBase64 ──▶ kBytesEnd ─}─┐
//                  ▲                │                                                     │
//                  └──── a value ───┘◀────────────────────────────────────────────────────┘
class EntryHandler final : public JsonEvents {
 public:
  bool on_object_begin(Error& error) {
    if (state_ == State::kStart) return Go(State::kMembers);
    if (state_ == State::kMember && field_ != kExpiresAt) return Go(State::kBytes);
    return Unexpected(error);
  }
  bool on_object_end(std::size_t, Error& error) {
    if (state_ == State::kBytesEnd) return Go(State::kMembers);
    if (state_ != State::kMembers) return Unexpected(error);
    for (const Field needed : {kKey, kValue}) {
      if (!seen_[needed]) return Fail(absl::StrCat("there is no \"", kNames[needed], "\""), error);
    }
    return Go(State::kEnd);
  }
  bool on_array_begin(Error& error) { return Unexpected(error); }
  bool on_array_end(std::size_t, Error& error) { return Unexpected(error); }
  bool on_key_part(Text part, std::size_t, Error& error) { return Add(part, error); }
  bool on_key(Text part, std::size_t, Error& error) {
    if (!Add(part, error)) return false;
    const std::string name = std::exchange(text_, "");
    if (state_ == State::kBytes && name == "base64") return Go(State::kBase64);
    if (state_ != State::kMembers) return Unexpected(error);
    for (size_t i = 0; i < kFields; ++i) {
      if (name != kNames[i]) continue;
      field_ = static_cast<Field>(i);
      if (std::exchange(seen_[i], true)) {
        return Fail(absl::StrCat("it has \"", name, "\" twice"), error);
      }
      return Go(State::kMember);
    }
    return Fail(absl::StrCat("there is no member \"", name,
                             "\"; known are key, value, content_type and expires_at_ms"),
                error);
  }
  bool on_string_part(Text part, std::size_t, Error& error) { return AddString(part, error); }
  bool on_string(Text part, std::size_t, Error& error) {
    if (!AddString(part, error)) return false;
    std::string text = std::exchange(text_, "");
    const bool is_base64 = state_ == State::kBase64;
    if (is_base64 && !DecodeBase64(&text)) {
      return Fail(absl::StrCat("\"", kNames[field_], "\" is not base64"), error);
    }
    if (text.size() > Limit()) return TooLong(error);
    (field_ == kKey     ? entry.key
     : field_ == kValue ? entry.value
                        : entry.content_type) = std::move(text);
    return Go(is_base64 ? State::kBytesEnd : State::kMembers);
  }
  bool on_number_part(Text, Error& error) {
    return state_ == State::kMember && field_ == kExpiresAt ? true : Unexpected(error);
  }
  bool on_int64(std::int64_t number, Text, Error& error) {
    if (state_ != State::kMember || field_ != kExpiresAt || number < 1) return Unexpected(error);
    entry.expires_at_ms = number;
    return Go(State::kMembers);
  }
  bool on_uint64(std::uint64_t, Text, Error& error) { return Unexpected(error); }
  bool on_double(double, Text, Error& error) { return Unexpected(error); }
  bool on_bool(bool, Error& error) { return Unexpected(error); }
  bool on_null(Error& error) { return Unexpected(error); }

  JsonEntry entry;

 private:
  enum class State { kStart, kMembers, kMember, kBytes, kBase64, kBytesEnd, kEnd };
  enum Field : unsigned char { kKey, kValue, kContentType, kExpiresAt, kFields };
  static constexpr const char* kNames[] = {"key", "value", "content_type", "expires_at_ms"};
  static constexpr size_t kMaxNameBytes = 32;

  bool Go(State state) {
    state_ = state;
    return true;
  }
  size_t Limit() const {
    return field_ == kKey ? kMaxKeyBytes : field_ == kValue ? kMaxValueBytes : kMaxContentTypeBytes;
  }
  bool TooLong(Error& error) {
    return Fail(
        absl::StrCat("\"", kNames[field_], "\" is of at most ", Limit(), " bytes; this is more"),
        error);
  }
  bool Add(Text part, Error& error) {
    const bool is_name = state_ == State::kMembers || state_ == State::kBytes;
    // In base64 bytes are a third longer.
    const size_t limit = is_name ? kMaxNameBytes : 2 * Limit();
    if (text_.size() + part.size() > limit) {
      return is_name ? Fail("the name of a member is too long", error) : TooLong(error);
    }
    text_.append(part.data(), part.size());
    return true;
  }
  bool AddString(Text part, Error& error) {
    const bool fits =
        state_ == State::kBase64 || (state_ == State::kMember && field_ != kExpiresAt);
    return fits ? Add(part, error) : Unexpected(error);
  }
  bool Unexpected(Error& error) {
    if (state_ == State::kStart || state_ == State::kEnd || state_ == State::kMembers) {
      return Fail("expected an object {\"key\": ..., \"value\": ...}", error);
    }
    return Fail(absl::StrCat("\"", kNames[field_],
                             field_ == kExpiresAt
                                 ? "\" is not a time: a whole number of milliseconds"
                                 : "\" is neither a string nor an object {\"base64\": \"...\"}"),
                error);
  }

  State state_ = State::kStart;
  Field field_ = kKey;
  bool seen_[kFields] = {};
  std::string text_;
};

}  // namespace

void AppendJsonEntry(const ScanEntry& entry, std::string* out) {
  out->append("{\"key\":");
  AppendJsonBytes(entry.key, out);
  if (!entry.content_type.empty()) {
    out->append(",\"content_type\":");
    AppendJsonBytes(entry.content_type, out);
  }
  if (entry.expires_at_ms != 0) absl::StrAppend(out, ",\"expires_at_ms\":", entry.expires_at_ms);
  out->append(",\"value\":");
  AppendJsonBytes(entry.value, out);
  out->append("}");
}

absl::StatusOr<JsonEntry> ParseJsonEntry(absl::string_view text) {
  json::basic_parser<EntryHandler> parser{json::parse_options()};
  if (absl::Status status = ParseJsonEvents(text, &parser, "the line"); !status.ok()) {
    return status;
  }
  return std::move(parser.handler().entry);
}

}  // namespace kvarts
