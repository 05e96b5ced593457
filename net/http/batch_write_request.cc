#include "net/http/batch_write_request.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/http/json_events.h"
#include "storage/store.h"

namespace kvarts {
namespace {

namespace json = boost::json;

enum class Place : unsigned char { kRequest, kMutation, kCondition };
enum class Form : unsigned char { kItems, kFlag, kBytes, kText, kTime };

enum Field : unsigned char {
  kMutations,
  kAtomic,
  kIf,
  kPut,
  kDelete,
  kTouch,
  kValue,
  kContentType,
  kExpiresAt,
  kTtl,
  kAbsent,
  kPresent,
  kUnchanged,
  kEtag,
  kFields
};

struct Member {
  const char* name;
  Place place;  // the object it is a member of
  Form form;
};

constexpr Member kMembers[] = {
    {"mutations", Place::kRequest, Form::kItems},
    {"atomic", Place::kRequest, Form::kFlag},
    {"if", Place::kRequest, Form::kItems},
    {"put", Place::kMutation, Form::kBytes},
    {"delete", Place::kMutation, Form::kBytes},
    {"touch", Place::kMutation, Form::kBytes},
    {"value", Place::kMutation, Form::kBytes},
    {"content_type", Place::kMutation, Form::kText},
    {"expires_at_ms", Place::kMutation, Form::kTime},
    {"ttl_ms", Place::kMutation, Form::kTime},
    {"absent", Place::kCondition, Form::kBytes},
    {"present", Place::kCondition, Form::kBytes},
    {"unchanged", Place::kCondition, Form::kBytes},
    {"etag", Place::kCondition, Form::kText},
};
static_assert(std::size(kMembers) == kFields);

constexpr size_t kMaxNameBytes = 32;
constexpr size_t kMaxEtagBytes = 256;

// A set of fields.
class Fields {
 public:
  bool has(Field field) const { return (bits_ >> field & 1) != 0; }
  bool add(Field field) {
    const bool is_new = !has(field);
    bits_ |= 1u << field;
    return is_new;
  }
  bool metadata() const { return has(kContentType) || has(kExpiresAt) || has(kTtl); }
  static int CountOf(std::initializer_list<bool> which) {
    return static_cast<int>(std::count(which.begin(), which.end(), true));
  }

 private:
  unsigned bits_ = 0;
};

std::string KnownMembers(Place place) {
  std::string names;
  for (const Member& member : kMembers) {
    if (member.place == place) absl::StrAppend(&names, names.empty() ? "" : ", ", member.name);
  }
  return names;
}

bool IsContentType(absl::string_view type) {
  return !type.empty() && std::all_of(type.begin(), type.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F;
  });
}

//   kStart ─{─▶ kMembers ─name─▶ kMember ─[─▶ kItems ─{─▶ kMembers, of an item: its } goes back
//                  ▲                │ └─{─▶ kBytes ─"base64"─▶ kBase64 ──▶ kBytesEnd ─}─┐
//                  └──── a value ───┘◀──────────────────────────────────────────────────┘
class WriteHandler final : public JsonEvents {
 public:
  WriteHandler(int64_t now_ms, size_t max_items) : now_ms_(now_ms), max_items_(max_items) {}

  bool on_object_begin(Error& error) {
    if (state_ == State::kStart) return Go(State::kMembers);
    if (state_ == State::kItems) return BeginItem(error);
    if (state_ == State::kMember && form() == Form::kBytes) return Go(State::kBytes);
    return Unexpected(error);
  }
  bool on_object_end(std::size_t, Error& error) {
    if (state_ == State::kBytesEnd) return Go(State::kMembers);
    if (state_ != State::kMembers) return Unexpected(error);
    switch (place_) {
      case Place::kRequest:
        return EndRequest(error);
      case Place::kMutation:
        return EndMutation(&request.mutations.back(), error);
      case Place::kCondition:
        return EndCondition(&request.conditions.back(), error);
    }
    return false;
  }
  bool on_array_begin(Error& error) {
    if (state_ != State::kMember || form() != Form::kItems) return Unexpected(error);
    place_ = field_ == kMutations ? Place::kMutation : Place::kCondition;
    return Go(State::kItems);
  }
  bool on_array_end(std::size_t, Error& error) {
    if (state_ != State::kItems) return Unexpected(error);
    place_ = Place::kRequest;
    return Go(State::kMembers);
  }
  bool on_key_part(Text part, std::size_t, Error& error) { return Add(part, error); }
  bool on_key(Text part, std::size_t, Error& error) {
    if (!Add(part, error)) return false;
    const std::string name = std::exchange(text_, "");
    if (state_ == State::kBytes && name == "base64") return Go(State::kBase64);
    if (state_ != State::kMembers) return Unexpected(error);
    for (int i = 0; i < kFields; ++i) {
      if (kMembers[i].place != place_ || name != kMembers[i].name) continue;
      field_ = static_cast<Field>(i);
      if (!seen().add(field_)) {
        return Complain(absl::StrCat("it has \"", name, "\" twice"), error);
      }
      return Go(State::kMember);
    }
    return Complain(
        absl::StrCat("there is no member \"", name, "\" here; known are ", KnownMembers(place_)),
        error);
  }
  bool on_string_part(Text part, std::size_t, Error& error) { return AddString(part, error); }
  bool on_string(Text part, std::size_t, Error& error) {
    if (!AddString(part, error)) return false;
    std::string text = std::exchange(text_, "");
    const bool is_base64 = state_ == State::kBase64;
    if (is_base64 && !DecodeBase64(&text)) return Complain("not base64", error);
    if (!Take(std::move(text), error)) return false;
    return Go(is_base64 ? State::kBytesEnd : State::kMembers);
  }
  bool on_number_part(Text, Error& error) {
    return state_ == State::kMember && form() == Form::kTime ? true : Unexpected(error);
  }
  bool on_int64(std::int64_t number, Text, Error& error) { return TakeTime(number, error); }
  bool on_uint64(std::uint64_t, Text, Error& error) { return Unexpected(error); }
  bool on_double(double, Text, Error& error) { return Unexpected(error); }
  bool on_bool(bool flag, Error& error) {
    if (state_ != State::kMember || form() != Form::kFlag) return Unexpected(error);
    request.atomic = flag;
    return Go(State::kMembers);
  }
  bool on_null(Error& error) {
    if (state_ != State::kMember || (field_ != kContentType && field_ != kExpiresAt)) {
      return Unexpected(error);
    }
    return Go(State::kMembers);  // what kClear says already
  }

  BatchWriteRequest request;

 private:
  enum class State { kStart, kMembers, kMember, kItems, kBytes, kBase64, kBytesEnd, kEnd };

  Form form() const { return kMembers[field_].form; }
  Fields& seen() { return place_ == Place::kRequest ? seen_ : seen_in_item_; }
  bool Go(State state) {
    state_ = state;
    return true;
  }

  // --- Text ---
  bool Add(Text part, Error& error) {
    if (text_.size() + part.size() > Limit()) {
      if (state_ == State::kBytes) return Unexpected(error);
      if (state_ == State::kMembers) return Complain("the name of a member is too long", error);
      return Complain("too long", error);
    }
    text_.append(part.data(), part.size());
    return true;
  }
  bool AddString(Text part, Error& error) {
    const bool fits =
        state_ == State::kBase64 || (state_ == State::kMember && (form() == Form::kBytes ||  //
                                                                  form() == Form::kText));
    return fits ? Add(part, error) : Unexpected(error);
  }
  size_t Limit() const {
    if (state_ == State::kMembers || state_ == State::kBytes) return kMaxNameBytes;
    if (field_ == kEtag) return kMaxEtagBytes;
    if (field_ == kContentType) return kMaxContentTypeBytes;
    // In base64 bytes are a third longer.
    return 2 * (field_ == kValue ? kMaxValueBytes : kMaxKeyBytes);
  }

  // --- Values ---
  bool Take(std::string text, Error& error) {
    if (place_ == Place::kCondition) return TakeOfCondition(std::move(text), error);
    BatchWriteRequest::Change& change = request.mutations.back();
    if (field_ == kValue) {
      change.value = std::move(text);
    } else if (field_ == kContentType) {
      if (!IsContentType(text)) {
        return Complain("expected a content type: text without control characters", error);
      }
      change.content_type = std::move(text);
      change.metadata.content_type = Metadata::Change::kSet;
    } else {
      change.kind = field_ == kPut      ? Mutation::Kind::kPut
                    : field_ == kDelete ? Mutation::Kind::kDelete
                                        : Mutation::Kind::kTouch;
      return TakeKey(std::move(text), &change.key, error);
    }
    return true;
  }
  bool TakeOfCondition(std::string text, Error& error) {
    BatchWriteRequest::Condition& condition = request.conditions.back();
    if (field_ != kEtag) {
      condition.kind = field_ == kAbsent    ? Precondition::Kind::kAbsent
                       : field_ == kPresent ? Precondition::Kind::kPresent
                                            : Precondition::Kind::kUnchanged;
      return TakeKey(std::move(text), &condition.key, error);
    }
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
      text = text.substr(1, text.size() - 2);
    }
    if (text.empty() || text == "*" || absl::StrContains(text, '"')) {
      return Complain("expected an ETag that was given for this key's value", error);
    }
    condition.etag = absl::StrCat("\"", text, "\"");
    return true;
  }
  bool TakeKey(std::string text, std::string* key, Error& error) {
    if (const absl::Status status = CheckKey(text); !status.ok()) {
      return Complain(status.message(), error);
    }
    *key = std::move(text);
    return true;
  }
  bool TakeTime(std::int64_t number, Error& error) {
    if (state_ != State::kMember || form() != Form::kTime) return Unexpected(error);
    if (number < 1 || number > kMaxTimeMs) return Unexpected(error);
    Metadata& metadata = request.mutations.back().metadata;
    metadata.expiry = Metadata::Change::kSet;
    metadata.expires_at_ms = field_ == kTtl ? now_ms_ + number : number;
    return Go(State::kMembers);
  }

  // --- Objects ---
  bool BeginItem(Error& error) {
    const bool is_mutation = place_ == Place::kMutation;
    const size_t count = is_mutation ? request.mutations.size() : request.conditions.size();
    if (count == max_items_) {
      return Fail(absl::StrCat("more than ", max_items_, is_mutation ? " mutations" : " conditions",
                               " in a request"),
                  error);
    }
    if (is_mutation) {
      request.mutations.emplace_back();
    } else {
      request.conditions.emplace_back();
    }
    seen_in_item_ = Fields();
    return Go(State::kMembers);
  }
  bool EndRequest(Error& error) {
    if (!seen_.has(kMutations)) return Complain("there is no \"mutations\"", error);
    if (!request.conditions.empty()) {
      if (seen_.has(kAtomic) && !request.atomic) {
        return Complain("a batch with conditions is atomic; \"atomic\" says it is not", error);
      }
      request.atomic = true;
    }
    return Go(State::kEnd);
  }
  bool EndMutation(BatchWriteRequest::Change* change, Error& error) {
    const Fields seen = seen_in_item_;
    if (Fields::CountOf({seen.has(kPut), seen.has(kDelete), seen.has(kTouch)}) != 1) {
      return Complain("expected one of \"put\", \"delete\" and \"touch\"", error);
    }
    if (seen.has(kPut) != seen.has(kValue)) {
      return Complain(seen.has(kPut) ? "a put needs a \"value\"" : "only a put has a \"value\"",
                      error);
    }
    if (seen.has(kDelete) && seen.metadata()) {
      return Complain("a delete has nothing beside its key", error);
    }
    if (seen.has(kExpiresAt) && seen.has(kTtl)) {
      return Complain("\"expires_at_ms\" and \"ttl_ms\" at once", error);
    }
    if (seen.has(kTouch)) {
      if (!seen.metadata()) {
        return Complain("a touch needs a \"content_type\", \"expires_at_ms\" or \"ttl_ms\"", error);
      }
      if (!seen.has(kContentType)) change->metadata.content_type = Metadata::Change::kKeep;
      if (!seen.has(kExpiresAt) && !seen.has(kTtl)) {
        change->metadata.expiry = Metadata::Change::kKeep;
      }
    }
    return Go(State::kItems);
  }
  bool EndCondition(BatchWriteRequest::Condition*, Error& error) {
    const Fields seen = seen_in_item_;
    if (Fields::CountOf({seen.has(kAbsent), seen.has(kPresent), seen.has(kUnchanged)}) != 1) {
      return Complain("expected one of \"absent\", \"present\" and \"unchanged\"", error);
    }
    if (seen.has(kUnchanged) != seen.has(kEtag)) {
      return Complain(
          seen.has(kEtag) ? "an \"etag\" is for \"unchanged\"" : "\"unchanged\" needs an \"etag\"",
          error);
    }
    return Go(State::kItems);
  }

  // --- Errors ---
  // "mutations[3].value: ", "if[0]: ", "the request: ".
  std::string Where() const {
    std::string where;
    // What is wrong between two items is wrong with the next.
    const size_t next = state_ == State::kItems ? 1 : 0;
    if (place_ == Place::kMutation) {
      where = absl::StrCat("mutations[", request.mutations.size() - 1 + next, "]");
    } else if (place_ == Place::kCondition) {
      where = absl::StrCat("if[", request.conditions.size() - 1 + next, "]");
    }
    const bool in_member = state_ == State::kMember || state_ == State::kBytes ||
                           state_ == State::kBase64 || state_ == State::kBytesEnd;
    if (in_member) absl::StrAppend(&where, where.empty() ? "" : ".", kMembers[field_].name);
    return where.empty() ? "the request: " : where + ": ";
  }
  bool Complain(absl::string_view what, Error& error) {
    return Fail(absl::StrCat(Where(), what), error);
  }
  bool Unexpected(Error& error) {
    switch (state_) {
      case State::kMember:
      case State::kBytes:
      case State::kBase64:
      case State::kBytesEnd:
        break;
      default:
        return Complain("expected an object", error);
    }
    switch (form()) {
      case Form::kItems:
        return Complain("expected an array", error);
      case Form::kFlag:
        return Complain("expected true or false", error);
      case Form::kBytes:
        return Complain("expected a string or {\"base64\": \"...\"}", error);
      case Form::kText:
        return Complain("expected a string", error);
      case Form::kTime:
        return Complain(absl::StrCat("expected a whole number from 1 to ", kMaxTimeMs), error);
    }
    return false;
  }

  const int64_t now_ms_;
  const size_t max_items_;
  State state_ = State::kStart;
  Place place_ = Place::kRequest;
  Field field_ = kMutations;  // the member whose value is read
  Fields seen_, seen_in_item_;
  std::string text_;
};

}  // namespace

absl::StatusOr<BatchWriteRequest> ParseBatchWrite(absl::string_view json_text, int64_t now_ms,
                                                  size_t max_items) {
  json::basic_parser<WriteHandler> parser(json::parse_options(), now_ms, max_items);
  if (absl::Status status = ParseJsonEvents(json_text, &parser); !status.ok()) return status;
  return std::move(parser.handler().request);
}

}  // namespace kvarts
