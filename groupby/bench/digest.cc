#include "groupby/bench/digest.h"

#include <algorithm>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/checksum.h"

namespace kvarts {
namespace {

// Takes what stands before the next `end` off `text`, and the `end`; all where there
// is none.
absl::string_view Take(absl::string_view* text, char end) {
  const size_t at = std::min(text->find(end), text->size());
  const absl::string_view taken = text->substr(0, at);
  text->remove_prefix(std::min(at + 1, text->size()));
  return taken;
}

bool Before(absl::string_view a, absl::string_view b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// Calls `take` with each line's key and the rest of it.
template <typename F>
absl::Status ForEachLine(absl::string_view text, F take) {
  for (uint64_t line = 1; !text.empty(); ++line) {
    absl::string_view rest = Take(&text, '\n');
    if (rest.find('\t') == absl::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat("line ", line, " has no tab"));
    }
    const absl::string_view key = Take(&rest, '\t');
    take(key, rest);
  }
  return absl::OkStatus();
}

uint64_t CountDistinct(std::vector<uint64_t>* hashes) {
  std::sort(hashes->begin(), hashes->end());
  return std::unique(hashes->begin(), hashes->end()) - hashes->begin();
}

}  // namespace

std::string GroupDigest::ToString() const {
  return absl::StrFormat("rows=%d keys=%d sum=%016x", rows, keys, sum);
}

absl::StatusOr<GroupDigest> DigestRows(absl::string_view text) {
  GroupDigest digest;
  std::vector<uint64_t> keys;
  const absl::Status status =
      ForEachLine(text, [&](absl::string_view key, absl::string_view value) {
        keys.push_back(Checksum(key));
        ++digest.rows;
        digest.sum += Checksum(value, keys.back());
      });
  if (!status.ok()) return status;
  digest.keys = CountDistinct(&keys);
  return digest;
}

absl::StatusOr<GroupDigest> DigestGroups(absl::string_view text, bool* ordered) {
  GroupDigest digest;
  bool rises = true;
  std::vector<uint64_t> keys;
  const absl::Status status =
      ForEachLine(text, [&](absl::string_view key, absl::string_view values) {
        keys.push_back(Checksum(key));
        absl::string_view last;
        for (size_t at = 0; at != absl::string_view::npos; ++digest.rows) {
          at = values.find(',');
          const absl::string_view value = values.substr(0, at);
          values.remove_prefix(at == absl::string_view::npos ? 0 : at + 1);
          digest.sum += Checksum(value, keys.back());
          rises &= !Before(value, last);
          last = value;
        }
      });
  if (!status.ok()) return status;
  digest.keys = CountDistinct(&keys);
  if (digest.keys != keys.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(keys.size() - digest.keys, " lines have the key of another"));
  }
  if (ordered != nullptr) *ordered = rises;
  return digest;
}

}  // namespace kvarts
