#ifndef KVARTS_GROUPBY_TEXT_ROW_ENDS_H_
#define KVARTS_GROUPBY_TEXT_ROW_ENDS_H_

#include <cstddef>

namespace kvarts::groupby_text {

// Not thread-safe. Finds where rows end in a text that begins with one and grows behind.
// Each byte is looked at once.
class RowEnds {
 public:
  // Rows end with newlines; those between quotes, where `quotes` is set, are none: a quote
  // opens in front of a column's first byte.
  RowEnds(bool quotes, char delimiter) : quotes_(quotes), delimiter_(delimiter) {}

  // For another text.
  void Reset();
  // The end, behind the newline, of the last whole row; 0: none.
  size_t Last(const char* text, size_t size);
  // The end of the first one; 0: none.
  size_t First(const char* text, size_t size);

 private:
  size_t Scan(const char* text, size_t size, bool first);

  const bool quotes_;
  const char delimiter_;
  size_t scanned_ = 0;
  size_t last_ = 0;
  bool quoted_ = false;  // at scanned_
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_ROW_ENDS_H_
