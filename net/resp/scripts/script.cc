#include "net/resp/scripts/script.h"

#include <openssl/sha.h>

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kMaxScripts = 10000;
constexpr size_t kMaxBytes = 32 << 20;

absl::Status ParseFlags(absl::string_view flags, Script* script) {
  for (const absl::string_view flag : absl::StrSplit(flags, ',', absl::SkipEmpty())) {
    if (flag == "no-writes") {
      script->no_writes = true;
    } else if (flag != "allow-oom" && flag != "allow-stale" && flag != "no-cluster" &&
               flag != "allow-cross-slot-keys") {
      return absl::AbortedError(absl::StrCat("ERR Unexpected flag in script shebang: ", flag));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string Sha1Hex(absl::string_view bytes) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), sizeof digest});
}

absl::StatusOr<Script> ParseScript(absl::string_view text) {
  Script script;
  script.sha = Sha1Hex(text);
  if (absl::StartsWith(text, "#!")) {
    const size_t end = text.find('\n');
    if (end == absl::string_view::npos) return absl::AbortedError("ERR Invalid script shebang");
    const std::vector<absl::string_view> words =
        absl::StrSplit(text.substr(0, end), ' ', absl::SkipEmpty());
    if (words[0] != "#!lua") {
      return absl::AbortedError(
          absl::StrCat("ERR Unexpected engine in script shebang: ", words[0]));
    }
    for (size_t i = 1; i < words.size(); ++i) {
      absl::string_view flags = words[i];
      if (!absl::ConsumePrefix(&flags, "flags=")) {
        return absl::AbortedError(absl::StrCat("ERR Unknown lua shebang option: ", words[i]));
      }
      KVARTS_RETURN_IF_ERROR(ParseFlags(flags, &script));
    }
    script.has_flags = true;
    text.remove_prefix(end);
  }
  script.source = std::string(text);
  return script;
}

std::shared_ptr<const Script> ScriptCache::Find(absl::string_view sha) const {
  MutexLock lock(&mu_);
  const auto it = scripts_.find(sha);
  return it == scripts_.end() ? nullptr : it->second;
}

void ScriptCache::Add(std::shared_ptr<const Script> script) {
  MutexLock lock(&mu_);
  const std::string& sha = script->sha;
  if (scripts_.find(sha) != scripts_.end()) return;
  order_.push_back(sha);
  bytes_ += script->source.size();
  scripts_.emplace(sha, std::move(script));
  while (order_.size() > 1 && (order_.size() > kMaxScripts || bytes_ > kMaxBytes)) {
    const auto oldest = scripts_.find(order_.front());
    bytes_ -= oldest->second->source.size();
    scripts_.erase(oldest);
    order_.pop_front();
  }
}

void ScriptCache::Clear() {
  MutexLock lock(&mu_);
  scripts_.clear();
  order_.clear();
  bytes_ = 0;
}

}  // namespace resp
}  // namespace kvarts
