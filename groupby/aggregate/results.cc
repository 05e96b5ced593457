#include "groupby/aggregate/results.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/coding.h"

namespace kvarts::groupby_internal {

absl::Status GroupResults::Finish(const StateLayout& layout, const StateEntry& entry) {
  text_.clear();
  ends_.clear();
  key_ = entry.key(layout);
  absl::Status finished = layout.Finish(entry.states(), &text_, &ends_);
  if (!finished.ok()) {
    return absl::Status(finished.code(),
                        absl::StrCat("key ", QuoteKey(key_), ", ", finished.message()));
  }
  Cut(text_);
  return absl::OkStatus();
}

void GroupResults::Save(std::string* payload) const {
  payload->clear();
  for (const size_t end : ends_) AppendLE32(payload, static_cast<uint32_t>(end));
  *payload += text_;
}

void GroupResults::Load(absl::string_view key, absl::string_view payload, size_t count) {
  ends_.clear();
  for (size_t i = 0; i < count; ++i) ends_.push_back(LoadLE32(payload.data() + 4 * i));
  key_ = key;
  Cut(payload.substr(4 * count));
}

void GroupResults::Cut(absl::string_view text) {
  views_.clear();
  size_t begin = 0;
  for (const size_t end : ends_) {
    views_.push_back(text.substr(begin, end - begin));
    begin = end;
  }
}

uint64_t KeyPrefix(absl::string_view key) {
  char bytes[8] = {};
  std::memcpy(bytes, key.data(), std::min<size_t>(key.size(), sizeof bytes));
  return LoadBE64(bytes);
}

}  // namespace kvarts::groupby_internal
