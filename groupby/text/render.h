#ifndef KVARTS_GROUPBY_TEXT_RENDER_H_
#define KVARTS_GROUPBY_TEXT_RENDER_H_

#include "groupby/grouping.h"
#include "groupby/text/row_parser.h"

namespace kvarts::groupby_text {

enum class OutputFormat : unsigned char {
  kTsv = 0,  // KEY<TAB>VALUE,VALUE,...
  kNdjson,   // {"key":KEY,"values":[VALUE,VALUE,...]}
  kData,     // KEY VALUE,VALUE,... : a data file, which kv_build and kv_server take
};

enum class Encoding : unsigned char {
  kNone = 0,  // bytes as they are; what the format cannot hold is an error
  kEscape,    // \\ \t \n \r, and \xNN for what else the format cannot hold
  kBase64,    // of keys and values (RFC 4648, padded)
};

struct RenderOptions {
  OutputFormat format = OutputFormat::kTsv;
  Encoding encoding = Encoding::kNone;
  char separator = ',';
  bool json_text = false;  // see NewNdjsonParser(); of kNdjson alone
};

// What the parser is to refuse: the bytes that the format cannot hold. None of kNdjson,
// whose limits are looked at where it is written.
OutputLimits LimitsOf(const RenderOptions& options);

// Writes groups with all their values. Thread-safe.
Groups::Render NewListRender(const RenderOptions& options);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_RENDER_H_
