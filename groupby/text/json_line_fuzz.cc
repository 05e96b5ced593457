#include <boost/json/src.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "groupby/text/json_line.h"

// A line of JSON of a stranger, beside Boost.JSON: the same documents are right, and the
// same members are found.
namespace kvarts::groupby_text {
namespace {

namespace json = boost::json;

json::value Parse(absl::string_view text, boost::system::error_code* error) {
  json::parse_options options;
  options.max_depth = 1001;  // the object itself counts
  return json::parse(json::string_view(text.data(), text.size()), *error, {}, options);
}

void Check(const JsonMember& member, const json::object& object, const std::string& name) {
  const json::value* const value = object.if_contains(name);
  if (member.found != (value != nullptr)) __builtin_trap();
  if (!member.found) return;
  if (member.is_string != value->is_string()) __builtin_trap();
  boost::system::error_code error;
  const absl::string_view raw(member.raw.data(), member.raw.size());
  // Not of the same number: what Boost makes of one depends on what stands behind it.
  if (Parse(raw, &error).kind() != value->kind() || error) __builtin_trap();
  if (!member.is_string) return;
  std::vector<char> copy(raw.begin(), raw.end());
  const absl::string_view text = UnescapeJson(absl::MakeSpan(copy));
  if (text != absl::string_view(value->get_string().data(), value->get_string().size())) {
    __builtin_trap();
  }
}

void Fuzz(absl::string_view text) {
  std::vector<char> bytes(text.begin(), text.end());
  const std::vector<std::string> names = {"key", "value", ""};
  JsonMember members[3];
  const std::string wrong = ParseJsonObject(absl::MakeSpan(bytes), names, members);
  boost::system::error_code error;
  const json::value value = Parse(text, &error);
  if (!wrong.empty()) {
    // Boost takes a member that comes again.
    const bool twice = absl::StartsWith(wrong, "the member comes a second time");
    if (!error && value.is_object() && !twice) __builtin_trap();
    return;
  }
  // Boost's numbers have an end.
  if (error == json::error::exponent_overflow) return;
  if (error || !value.is_object()) __builtin_trap();
  for (size_t i = 0; i < names.size(); ++i) Check(members[i], value.get_object(), names[i]);
}

}  // namespace
}  // namespace kvarts::groupby_text

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kvarts::groupby_text::Fuzz(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
