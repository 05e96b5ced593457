#include "groupby/text/group_fold.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "groupby/aggregate/number.h"
#include "groupby/text/json_line.h"
#include "groupby/text/row_limits.h"

namespace kvarts::groupby_text {
namespace {

// A size in front of its field: a byte, or 255 and four bytes.
constexpr size_t kMaxSizeBytes = 5;

char* PutSize(size_t size, char* to) {
  if (size < 255) {
    *to++ = static_cast<char>(size);
    return to;
  }
  *to++ = '\xFF';
  StoreLE32(to, static_cast<uint32_t>(size));
  return to + 4;
}

size_t TakeSize(absl::string_view* packed) {
  const auto first = static_cast<unsigned char>((*packed)[0]);
  const size_t size = first < 255 ? first : LoadLE32(packed->data() + 1);
  packed->remove_prefix(first < 255 ? 1 : kMaxSizeBytes);
  return size;
}

// The text that a JSON text stands for: a string's without its quotes and escapes.
absl::string_view Decode(absl::string_view json, std::string* room) {
  if (json.empty() || json[0] != '"') return json;
  const absl::string_view inside = json.substr(1, json.size() - 2);
  if (inside.find('\\') == absl::string_view::npos) return inside;
  room->assign(json.data(), json.size());
  return UnescapeJson(absl::MakeSpan(&(*room)[0], room->size()));
}

}  // namespace

absl::Status OfKey(absl::string_view key, const absl::Status& status) {
  if (absl::IsCancelled(status)) return status;
  return absl::Status(status.code(),
                      absl::StrCat("the key ", ShowKey(key), ": ", status.message()));
}

absl::StatusOr<absl::string_view> GroupFold::Add(absl::string_view packed) {
  const size_t last = fields_.size() - 1;
  for (size_t i = 0; i < last; ++i) sizes_[i] = TakeSize(&packed);
  for (size_t i = 0; i < last; ++i) {
    fields_[i] = packed.substr(0, sizes_[i]);
    packed.remove_prefix(sizes_[i]);
  }
  fields_[last] = packed;
  const absl::string_view first = fields_[0];
  if (json_text_) {
    for (size_t i = 0; i <= last; ++i) fields_[i] = Decode(fields_[i], &decoded_[i]);
  }
  KVARTS_RETURN_IF_ERROR(fold_->Add(fields_));
  return first;
}

GroupFolds::GroupFolds(const CollectorOptions& options) : options_(options) {
  if (options.grouping.skip_malformed) return;
  std::vector<bool> seen(options.fields);
  for (const AggregateSpec& aggregate : options_.aggregates) {
    if (aggregate.function->input() != AggregateFunction::Input::kNumber) continue;
    if (!seen[aggregate.column]) numbers_.push_back(&aggregate);
    seen[aggregate.column] = true;
  }
}

absl::Status GroupFolds::Pack(const ParsedRows& rows, PackedRows* packed, size_t* bad_row) const {
  const absl::Span<const KeyValue> from = rows.rows();
  std::string room;
  // First, since here its line is known: when groups are folded it is not.
  for (size_t i = 0; i < from.size() && !numbers_.empty(); ++i) {
    for (const AggregateSpec* const aggregate : numbers_) {
      absl::string_view text = rows.fields(i)[aggregate->column];
      if (options_.writer.json_text) text = Decode(text, &room);
      const absl::Status parsed = Number::Parse(text).status();
      if (parsed.ok()) continue;
      *bad_row = i;
      return absl::Status(parsed.code(),
                          absl::StrCat("aggregate \"", aggregate->label, "\", key ",
                                       ShowKey(from[i].key), ": ", parsed.message()));
    }
  }
  packed->rows.assign(from.begin(), from.end());
  if (options_.fields == 1) return absl::OkStatus();
  size_t bytes = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    for (const absl::string_view field : rows.fields(i)) bytes += kMaxSizeBytes + field.size();
  }
  packed->bytes.resize(bytes);
  char* to = &packed->bytes[0];
  for (size_t i = 0; i < from.size(); ++i) {
    const absl::Span<const absl::string_view> fields = rows.fields(i);
    const char* const begin = to;
    for (size_t f = 0; f + 1 < fields.size(); ++f) {
      to = PutSize(fields[f].size(), to);
    }
    for (const absl::string_view field : fields) to = std::copy(field.begin(), field.end(), to);
    packed->rows[i].value = absl::string_view(begin, static_cast<size_t>(to - begin));
    if (SizesFit(from[i].key, packed->rows[i].value)) continue;
    *bad_row = i;
    return absl::InvalidArgumentError(SizeError(from[i].key, packed->rows[i].value));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<GroupFold>> GroupFolds::Take() {
  {
    MutexLock lock(&mu_);
    if (!free_.empty()) {
      std::unique_ptr<GroupFold> fold = std::move(free_.back());
      free_.pop_back();
      return fold;
    }
  }
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<AggregateFold> fold,
                          AggregateFold::New(options_.grouping, options_.aggregates));
  return std::make_unique<GroupFold>(std::move(fold), options_.fields, options_.writer.json_text);
}

void GroupFolds::Give(std::unique_ptr<GroupFold> fold) {
  MutexLock lock(&mu_);
  free_.push_back(std::move(fold));
}

uint64_t GroupFolds::malformed() const {
  MutexLock lock(&mu_);
  uint64_t malformed = 0;
  for (const auto& fold : free_) malformed += fold->malformed();
  return malformed;
}

}  // namespace kvarts::groupby_text
