#include "groupby/text/row_parser.h"

#include <cstdlib>
#include <new>
#include <type_traits>

namespace kvarts::groupby_text {

static_assert(std::is_trivially_copyable<KeyValue>::value &&
                  std::is_trivially_destructible<KeyValue>::value,
              "rows live in memory that was never written");

void ParsedRows::Free::operator()(KeyValue* rows) const { std::free(rows); }

void ParsedRows::Begin(size_t rows) {
  if (rows > room_) {
    // Not calloc() and no constructors: pages that no row reaches stay untouched.
    rows_.reset();
    rows_.reset(static_cast<KeyValue*>(std::malloc(rows * sizeof(KeyValue))));
    if (rows_ == nullptr) throw std::bad_alloc();
    room_ = rows;
  }
  size_ = 0;
  lines_ = 0;
  skipped_ = 0;
  error_.clear();
}

}  // namespace kvarts::groupby_text
