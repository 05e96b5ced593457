#ifndef KVARTS_GROUPBY_TEXT_GROUP_WRITER_H_
#define KVARTS_GROUPBY_TEXT_GROUP_WRITER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/aggregate/aggregate_spec.h"
#include "groupby/text/row_parser.h"
#include "groupby/text/text_buffer.h"

namespace kvarts::groupby_text {

enum class OutputFormat : unsigned char {
  kTsv = 0,  // KEY<TAB>VALUE,VALUE,...<TAB>RESULT...
  kNdjson,   // {"key":KEY,"values":[VALUE,VALUE,...],"LABEL":RESULT,...}
  kData,     // KEY VALUE,VALUE,...<TAB>RESULT... : a data file, for kv_build and kv_server
};

enum class Encoding : unsigned char {
  kNone = 0,  // bytes as they are; what the format cannot hold is an error
  kEscape,    // see encoding.h
  kBase64,    // of keys and texts (RFC 4648, padded)
};

struct WriterOptions {
  OutputFormat format = OutputFormat::kTsv;
  Encoding encoding = Encoding::kNone;
  char separator = ',';
  bool list = true;  // values are written
  // Of NDJSON: keys and values are as NewNdjsonParser() has them with json_keys and
  // json_values.
  bool json_text = false;
};

// What the parser is to refuse: the bytes that the format cannot hold. None of kNdjson,
// whose limits are looked at where it is written.
OutputLimits LimitsOf(const WriterOptions& options);

// Thread-safe. Writes a group to a buffer, piece by piece. Errors name the key.
class GroupWriter {
 public:
  virtual ~GroupWriter() = default;

  virtual absl::Status Begin(absl::string_view key, TextBuffer* text) const = 0;
  // With WriterOptions::list.
  virtual absl::Status Value(absl::string_view key, absl::string_view value, bool first,
                             TextBuffer* text) const = 0;
  // As many results as there are aggregates.
  virtual absl::Status End(absl::string_view key, absl::Span<const absl::string_view> results,
                           TextBuffer* text) const = 0;
};

std::unique_ptr<GroupWriter> NewGroupWriter(const WriterOptions& options,
                                            const std::vector<AggregateSpec>& aggregates);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_GROUP_WRITER_H_
