#include "cluster/coordinator/etcd_json.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "net/http/json_events.h"

namespace kvarts {
namespace {

// Builds the value that stands last in `open_`.
class Builder : public JsonEvents {
 public:
  Builder() : open_{&root_} {}

  bool on_object_begin(Error&) { return Open(); }
  bool on_object_end(std::size_t, Error&) { return Close(); }
  bool on_array_begin(Error&) {
    Open();
    arrays_.push_back(open_.size());
    return true;
  }
  bool on_array_end(std::size_t, Error&) {
    arrays_.pop_back();
    return Close();
  }
  bool on_key_part(Text part, std::size_t, Error&) { return Append(part); }
  bool on_key(Text part, std::size_t, Error&) {
    Append(part);
    next_ = &open_.back()->members[std::exchange(text_, "")];
    return true;
  }
  bool on_string_part(Text part, std::size_t, Error&) { return Append(part); }
  bool on_string(Text part, std::size_t, Error&) { return Append(part) && Set(); }
  bool on_number_part(Text part, Error&) { return Append(part); }
  bool on_int64(std::int64_t, Text part, Error&) { return Append(part) && Set(); }
  bool on_uint64(std::uint64_t, Text part, Error&) { return Append(part) && Set(); }
  bool on_double(double, Text part, Error&) { return Append(part) && Set(); }
  bool on_bool(bool value, Error&) { return Append(value ? "true" : "") && Set(); }
  bool on_null(Error&) { return Set(); }

  EtcdJson Take() { return std::move(root_); }

 private:
  bool Append(Text part) {
    text_.append(part.data(), part.size());
    return true;
  }
  // Where the next value goes. Pointers into arrays are good until the array grows, which it does
  // only after its last item was closed.
  EtcdJson* Next() {
    if (next_ != nullptr) return std::exchange(next_, nullptr);
    if (!arrays_.empty() && arrays_.back() == open_.size()) {
      open_.back()->items.emplace_back();
      return &open_.back()->items.back();
    }
    return open_.back();
  }
  bool Set() {
    Next()->text = std::exchange(text_, "");
    return true;
  }
  bool Open() {
    open_.push_back(Next());
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  EtcdJson root_;
  std::vector<EtcdJson*> open_;
  std::vector<size_t> arrays_;  // sizes of `open_` whose last is an array
  EtcdJson* next_ = nullptr;    // the member whose key was read
  std::string text_;
};

const EtcdJson& Absent() {
  static const EtcdJson* const absent = new EtcdJson;
  return *absent;
}

}  // namespace

const EtcdJson& EtcdJson::operator[](absl::string_view name) const {
  const auto it = members.find(std::string(name));
  return it == members.end() ? Absent() : it->second;
}

const EtcdJson& EtcdJson::At(size_t i) const { return i < items.size() ? items[i] : Absent(); }

int64_t EtcdJson::AsInt() const {
  int64_t value = 0;
  return absl::SimpleAtoi(text, &value) ? value : 0;
}

std::string EtcdJson::AsBytes() const {
  std::string bytes;
  return absl::Base64Unescape(text, &bytes) ? bytes : "";
}

absl::StatusOr<EtcdJson> ParseEtcdJson(absl::string_view text) {
  boost::json::basic_parser<Builder> parser{boost::json::parse_options()};
  KVARTS_RETURN_IF_ERROR(ParseJsonEvents(text, &parser, "the answer"));
  return parser.handler().Take();
}

std::string EtcdBytes(absl::string_view bytes) {
  return absl::StrCat("\"", absl::Base64Escape(bytes), "\"");
}

std::string EtcdText(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < ' ') {
      absl::StrAppendFormat(&quoted, "\\u%04x", c);
    } else {
      quoted.push_back(c);
    }
  }
  return quoted + "\"";
}

}  // namespace kvarts
