#include "groupby/aggregate/state_layout.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace kvarts::groupby_internal {

StateLayout::StateLayout(std::vector<AggregateSpec> specs) : specs_(std::move(specs)) {
  size_t bytes = 0;
  for (const AggregateSpec& spec : specs_) {
    const AggregateFunction* const f = spec.function.get();
    Item item{f, f->input(), f->has_block(), bytes, spec.column, 0};
    bytes += f->state_bytes();
    if (item.input != AggregateFunction::Input::kNone) {
      columns_ = std::max(columns_, spec.column + 1);
    }
    has_distinct_ |= item.input == AggregateFunction::Input::kDistinct;
    if (item.input == AggregateFunction::Input::kNumber) {
      auto at = std::find(number_columns_.begin(), number_columns_.end(), spec.column);
      item.number = static_cast<size_t>(at - number_columns_.begin());
      if (at == number_columns_.end()) number_columns_.push_back(spec.column);
    }
    items_.push_back(item);
  }
  // Aligned, while the states are made.
  std::vector<uint64_t> initial(bytes / 8);
  char* const states = reinterpret_cast<char*>(initial.data());
  for (const Item& item : items_) item.function->Init(states + item.offset);
  initial_.assign(states, bytes);
}

absl::Status StateLayout::NoNumber(const AggregateRow& row, size_t column,
                                   const absl::Status& why) const {
  for (size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].input != AggregateFunction::Input::kNumber || items_[i].column != column) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat("aggregate \"", specs_[i].label, "\", key ",
                                                   QuoteKey(row.key), ": ", why.message()));
  }
  return why;
}

absl::Status StateLayout::ParseNumbers(const AggregateRow& row, Number* numbers,
                                       uint64_t* malformed) const {
  for (size_t i = 0; i < number_columns_.size(); ++i) {
    const absl::StatusOr<Number> number = Number::Parse(row.fields[number_columns_[i]]);
    if (number.ok()) {
      numbers[i] = *number;
    } else if (malformed != nullptr) {
      numbers[i] = Number();
      ++*malformed;
    } else {
      return NoNumber(row, number_columns_[i], number.status());
    }
  }
  return absl::OkStatus();
}

absl::Status StateLayout::Finish(const char* states, std::string* text,
                                 std::vector<size_t>* ends) const {
  for (size_t i = 0; i < items_.size(); ++i) {
    absl::Status status = items_[i].function->Finish(states + items_[i].offset, text);
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("aggregate \"", specs_[i].label, "\": ", status.message()));
    }
    ends->push_back(text->size());
  }
  return absl::OkStatus();
}

std::string QuoteKey(absl::string_view key) {
  const absl::string_view start = key.substr(0, 40);
  return absl::StrCat("\"", absl::CHexEscape(start), start.size() < key.size() ? "...\"" : "\"");
}

}  // namespace kvarts::groupby_internal
