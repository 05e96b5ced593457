#include "groupby/text/row_ends.h"

#include <cstring>

namespace kvarts::groupby_text {

void RowEnds::Reset() {
  scanned_ = 0;
  last_ = 0;
  quoted_ = false;
}

size_t RowEnds::Last(const char* text, size_t size) { return Scan(text, size, false); }
size_t RowEnds::First(const char* text, size_t size) { return Scan(text, size, true); }

size_t RowEnds::Scan(const char* text, size_t size, bool first) {
  while (scanned_ < size) {
    const char* const from = text + scanned_;
    const size_t left = size - scanned_;
    const char* const quote =
        quotes_ ? static_cast<const char*>(std::memchr(from, '"', left)) : nullptr;
    const size_t until = quote == nullptr ? size : static_cast<size_t>(quote - text);
    if (!quoted_) {
      const void* const newline = first ? std::memchr(from, '\n', until - scanned_)
                                        : ::memrchr(from, '\n', until - scanned_);
      if (newline != nullptr) {
        last_ = static_cast<size_t>(static_cast<const char*>(newline) - text) + 1;
        if (first) return last_;
      }
    }
    scanned_ = until;
    if (quote == nullptr) break;
    if (quoted_) {
      if (until + 1 == size) break;  // closes, or is half of a quote: the next byte says
      if (text[until + 1] == '"') {
        scanned_ = until + 2;
        continue;
      }
      quoted_ = false;
    } else {
      quoted_ = until == 0 || text[until - 1] == delimiter_ || text[until - 1] == '\n';
    }
    scanned_ = until + 1;
  }
  return last_;
}

}  // namespace kvarts::groupby_text
