#ifndef KVARTS_APPS_COMMON_RECORD_FORMAT_H_
#define KVARTS_APPS_COMMON_RECORD_FORMAT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/cursor.h"

namespace kvarts {

// How the entries of a store are written to a file or a pipe, one a line.
enum class RecordFormat : unsigned char {
  kData = 0,  // a data file: the key, a space, the value
  kNdjson,    // {"key":K,"value":V}, with all that an entry has: net/http/entry_json.h
};

// What a file of NDJSON begins with, and is known by.
inline constexpr absl::string_view kNdjsonBegin = "{";

// Appends `entry` as a line. What is written is read again as the same entry, by
// RecordReader: kInvalidArgument, and nothing is appended, where a data file cannot hold it:
// a key that is empty or has a space or a newline, a value with a newline, an expiry, a
// content type. `is_first`: of the file, by which its format is known.
absl::Status AppendRecord(const ScanEntry& entry, RecordFormat format, bool is_first,
                          std::string* out);

}  // namespace kvarts

#endif  // KVARTS_APPS_COMMON_RECORD_FORMAT_H_
