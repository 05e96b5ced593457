#include "groupby/text/row_parser.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <type_traits>

namespace kvarts::groupby_text {

static_assert(std::is_trivially_copyable<KeyValue>::value,
              "rows live in memory that was never written");

void ParsedRows::Free::operator()(void* array) const { std::free(array); }

template <typename T>
void ParsedRows::MakeRoom(size_t size, size_t* room, Array<T>* array) {
  if (size <= *room) return;
  // No constructors, and not calloc(): pages that no row reaches stay untouched.
  array->reset();
  array->reset(static_cast<T*>(std::malloc(size * sizeof(T))));
  if (*array == nullptr) throw std::bad_alloc();
  *room = size;
}

void ParsedRows::Begin(absl::Span<const char> text, size_t width, bool keep_lines) {
  // A row has at least its newline, and a byte for each column that it has more than one. Of
  // a long text, which may be one row, room for all that would be gigabytes.
  constexpr size_t kLong = 512 << 10;
  size_t most = text.size();
  if (most > kLong) most = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  MakeRoom(most + 1, &row_room_, &rows_);
  if (width > 1) MakeRoom(std::min(text.size(), most * width) + width, &field_room_, &fields_);
  if (keep_lines) MakeRoom(most + 1, &line_room_, &lines_before_);
  width_ = width;
  keep_lines_ = keep_lines;
  size_ = 0;
  lines_ = 0;
  skipped_ = 0;
  error_.clear();
}

}  // namespace kvarts::groupby_text
