#include "storage/spec.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/percent.h"
#include "base/size.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

absl::Status BadSpec(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("store \"", ShownSpec(text), "\": ", why));
}

bool IsScheme(absl::string_view scheme) {
  if (scheme.empty() || !absl::ascii_isalpha(scheme[0])) return false;
  for (const char c : scheme) {
    if (!absl::ascii_isalnum(c) && c != '+' && c != '-' && c != '.') return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<StoreSpec> StoreSpec::Parse(absl::string_view text) {
  StoreSpec spec;
  spec.text_ = ShownSpec(text);
  spec.has_secret_ = spec.text_ != text;
  const size_t colon = text.find(':');
  if (colon == absl::string_view::npos || !IsScheme(text.substr(0, colon))) {
    return BadSpec(text, "expected SCHEME:REST, such as tcp://127.0.0.1:7700 or bisect:PATH");
  }
  spec.scheme_ = absl::AsciiStrToLower(text.substr(0, colon));
  absl::string_view rest = text.substr(colon + 1);
  const size_t question = rest.find('?');
  absl::string_view target = rest.substr(0, question);
  // "//" marks an authority. A path of two slashes is not one: bisect:///data
  // is the path /data, as in other URLs.
  if (target.substr(0, 2) == "//") target.remove_prefix(2);
  const auto decode = [&](absl::string_view part) -> absl::StatusOr<std::string> {
    absl::StatusOr<std::string> decoded = PercentDecode(part);
    if (decoded.ok()) return decoded;
    // A "?" in a password that is not encoded makes options of its rest.
    if (spec.has_secret_) return BadSpec(text, "an option is not percent-encoded");
    return BadSpec(text, absl::StrCat("in \"", part, "\": ", decoded.status().message()));
  };
  if (spec.scheme_ == "cluster") {
    // A coordinator's spec, which decodes its own parts.
    spec.target_ = std::string(rest.substr(0, question));
  } else if (spec.scheme_ == "redis" || spec.scheme_ == "rediss") {
    // What is in front of the host is told apart before it is decoded.
    spec.target_ = std::string(target);
  } else {
    KVARTS_ASSIGN_OR_RETURN(spec.target_, decode(target));
  }
  if (question == absl::string_view::npos) return spec;
  for (const absl::string_view option : absl::StrSplit(rest.substr(question + 1), '&')) {
    if (option.empty()) continue;
    const size_t equals = option.find('=');
    KVARTS_ASSIGN_OR_RETURN(std::string name, decode(option.substr(0, equals)));
    std::string value;
    if (equals != absl::string_view::npos) {
      KVARTS_ASSIGN_OR_RETURN(value, decode(option.substr(equals + 1)));
    }
    if (name.empty()) return BadSpec(text, "an option without a name; expected NAME=VALUE");
    if (!spec.options_.emplace(name, std::move(value)).second) {
      if (spec.has_secret_) return BadSpec(text, "an option is given twice");
      return BadSpec(text, absl::StrCat("the option \"", name, "\" is given twice"));
    }
  }
  return spec;
}

std::string ShownSpec(absl::string_view spec) {
  const std::string scheme = absl::AsciiStrToLower(spec.substr(0, spec.find(':')));
  const bool takes_password = scheme == "cluster" || scheme == "redis" || scheme == "rediss" ||
                              absl::StrContains(spec, "etcd:");
  // The last one, as one in a password may not be encoded.
  size_t at = spec.rfind('@');
  if (!takes_password) {
    // Elsewhere a "@" is in a path, but for one in front of a host.
    const bool is_path = scheme == "bisect" || scheme == "dict" || scheme == "sstable" ||
                         scheme == "unix" || !absl::StartsWith(spec.substr(scheme.size()), "://");
    if (is_path) return std::string(spec);
    at = spec.substr(0, spec.find('?')).rfind('@');
  }
  if (at == absl::string_view::npos) return std::string(spec);
  const size_t slashes = spec.find("//");
  const size_t user = slashes < at ? slashes + 2 : spec.find(':') + 1;
  return absl::StrCat(spec.substr(0, user), "USER:PASSWORD", spec.substr(at));
}

std::string WithOption(absl::string_view spec, absl::string_view name, absl::string_view value) {
  return absl::StrCat(spec, spec.find('?') == absl::string_view::npos ? "?" : "&", name, "=",
                      PercentEncode(value, ""));
}

std::string StoreSpec::Take(absl::string_view name, absl::string_view fallback) {
  known_.emplace_back(name);
  const auto it = options_.find(std::string(name));
  if (it == options_.end()) return std::string(fallback);
  std::string value = std::move(it->second);
  options_.erase(it);
  return value;
}

absl::StatusOr<uint64_t> StoreSpec::TakeBytes(absl::string_view name, uint64_t fallback) {
  const bool given = options_.count(std::string(name)) > 0;
  const std::string value = Take(name);
  if (!given) return fallback;
  absl::StatusOr<uint64_t> bytes = ParseSize(value);
  if (!bytes.ok()) {
    return BadSpec(text_, absl::StrCat("the option \"", name, "\": ", bytes.status().message()));
  }
  return bytes;
}

absl::StatusOr<bool> StoreSpec::TakeBool(absl::string_view name, bool fallback) {
  const bool given = options_.count(std::string(name)) > 0;
  const std::string value = Take(name);
  if (!given) return fallback;
  const std::string lower = absl::AsciiStrToLower(value);
  if (lower.empty() || lower == "true" || lower == "1" || lower == "yes") return true;
  if (lower == "false" || lower == "0" || lower == "no") return false;
  return BadSpec(
      text_, absl::StrCat("the option \"", name, "\" is \"", value, "\"; expected true or false"));
}

absl::Status StoreSpec::Finish() const {
  if (options_.empty()) return absl::OkStatus();
  const std::string name = has_secret_ ? "" : absl::StrCat(" \"", options_.begin()->first, "\"");
  return BadSpec(text_, absl::StrCat("unknown option", name, "; ", scheme_, ": has ",
                                     known_.empty() ? "none" : absl::StrJoin(known_, ", ")));
}

void StoreFactories::Add(absl::string_view scheme, absl::string_view usage, Factory factory) {
  factories_[std::string(scheme)] = {std::string(usage), std::move(factory)};
}

absl::StatusOr<std::unique_ptr<Store>> StoreFactories::Open(absl::string_view spec) const {
  KVARTS_ASSIGN_OR_RETURN(StoreSpec parsed, StoreSpec::Parse(spec));
  const auto it = factories_.find(parsed.scheme());
  if (it == factories_.end()) {
    const auto name = [](std::string* out, const auto& entry) {
      absl::StrAppend(out, entry.second.usage);
    };
    return BadSpec(spec, absl::StrCat("unknown scheme \"", parsed.scheme(), "\"; known are ",
                                      absl::StrJoin(factories_, ", ", name)));
  }
  return it->second.factory(parsed);
}

std::string StoreFactories::Help() const {
  std::string help;
  for (const auto& [scheme, entry] : factories_) absl::StrAppend(&help, "  ", entry.usage, "\n");
  return help;
}

}  // namespace kvarts
