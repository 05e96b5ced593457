#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/text_start.h"
#include "groupby/text/chunk_reader.h"
#include "groupby/text/row_parser.h"
#include "groupby/text/string_source.h"

// Rows of a stranger. The first three bytes say of which format, with which options and in
// which chunks; the rest is the text.
namespace kvarts::groupby_text {
namespace {

struct Result {
  std::vector<std::vector<std::string>> rows;  // key, fields
  std::vector<uint64_t> lines;                 // before each
  uint64_t skipped = 0;
  bool failed = false;
  uint64_t failed_line = 0;

  bool operator==(const Result& other) const {
    return rows == other.rows && lines == other.lines && skipped == other.skipped &&
           failed == other.failed && failed_line == other.failed_line;
  }
};

void Append(const RowParser& parser, absl::Span<char> text, uint64_t* line, Result* result) {
  ParsedRows rows;
  parser.Parse(text, &rows);
  for (size_t i = 0; i < rows.rows().size(); ++i) {
    std::vector<std::string> row = {std::string(rows.rows()[i].key)};
    for (const absl::string_view field : rows.fields(i)) row.emplace_back(field);
    result->rows.push_back(std::move(row));
    result->lines.push_back(*line + rows.lines_before(i));
  }
  result->skipped += rows.skipped();
  *line += rows.lines();
  result->failed = !rows.error().empty();
  if (result->failed) result->failed_line = *line;
}

Result ParseWhole(const RowParser& parser, absl::string_view text) {
  std::vector<char> bytes(text.begin(), text.end());
  Result result;
  uint64_t line = 0;
  Append(parser, absl::MakeSpan(bytes), &line, &result);
  return result;
}

Result ParseChunks(const RowParser& parser, absl::string_view text, const ChunkOptions& options,
                   size_t step) {
  ChunkReader reader(std::make_unique<StringSource>(std::string(text), step), options);
  Result result;
  Chunk chunk;
  uint64_t line = 0;
  while (!result.failed && *reader.Next(&chunk)) {
    // Of the exact size: a sanitizer sees a read past its end.
    std::vector<char> bytes(chunk.text, chunk.text + chunk.size);
    Append(parser, absl::MakeSpan(bytes), &line, &result);
  }
  return result;
}

// What the words say, a byte at a time. TSV and CSV without limits of an output.
Result Reference(absl::string_view text, const RowParserOptions& options, bool csv) {
  const std::vector<size_t>& fields = options.columns.fields;
  const bool two_columns = csv && fields == std::vector<size_t>{Columns::kRest};
  size_t least = options.columns.key + 1;
  for (const size_t field : fields) {
    least = std::max(least, field == Columns::kRest ? 2 : field + 1);
  }
  Result result;
  uint64_t line = 0;
  size_t at = 0;
  while (at < text.size() && !result.failed) {
    const uint64_t first_line = line;
    std::vector<std::string> columns(1);
    std::string rest;
    bool wrong = false, quoted = false, closed = false, fresh = true;
    for (;; ++at) {
      if (at == text.size() || (text[at] == '\n' && !quoted)) break;
      const char byte = text[at];
      if (quoted) {
        line += byte == '\n' ? 1 : 0;
        if (byte != '"') {
          columns.back() += byte;
        } else if (at + 1 < text.size() && text[at + 1] == '"') {
          columns.back() += '"';
          ++at;
        } else {
          quoted = false;
          closed = true;
        }
        continue;
      }
      if (columns.size() > 1) rest += byte;
      wrong |= byte == '\r' && at + 1 < text.size() && text[at + 1] != '\n';
      if (byte == options.delimiter) {
        columns.emplace_back();
        closed = false;
        fresh = true;
        continue;
      }
      if (csv && byte == '"') {
        quoted = fresh;
        wrong |= !fresh;
      } else if (csv && closed) {
        const bool returns = byte == '\r' && (at + 1 == text.size() || text[at + 1] == '\n');
        wrong |= !returns;
      } else {
        columns.back() += byte;
      }
      fresh = false;
    }
    wrong |= quoted;
    if (csv && !closed && !columns.back().empty() && columns.back().back() == '\r') {
      columns.back().pop_back();
    }
    if (!csv && options.crlf && !columns.back().empty() && columns.back().back() == '\r') {
      columns.back().pop_back();
      if (columns.size() > 1) rest.pop_back();
    }
    wrong |= columns.size() < least || (two_columns && columns.size() > 2);
    if (!wrong) {
      std::vector<std::string> row = {columns[options.columns.key]};
      for (const size_t field : fields) {
        row.push_back(field != Columns::kRest ? columns[field] : csv ? columns[1] : rest);
      }
      result.rows.push_back(std::move(row));
      result.lines.push_back(first_line);
    } else if (options.skip_malformed) {
      ++result.skipped;
    } else {
      result.failed = true;
      result.failed_line = first_line;
    }
    line += at < text.size() ? 1 : 0;
    ++at;
  }
  return result;
}

void Fuzz(absl::string_view text, int format, uint8_t how, uint8_t size) {
  RowParserOptions options;
  options.keep_lines = true;
  options.skip_malformed = (how & 1) != 0;
  const bool rest = (how & 2) != 0;
  options.columns.key = rest ? 0 : (how >> 2) & 1;
  options.columns.fields.clear();
  if (rest) options.columns.fields.push_back(Columns::kRest);
  if ((how & 8) != 0) options.columns.fields.push_back(0);
  if ((how & 16) != 0) options.columns.fields.push_back(2);
  options.delimiter = format == 1 ? ',' : '\t';
  options.crlf = (how & 64) != 0;
  options.json_keys = (how & 4) != 0;
  options.json_values = (how & 16) != 0;
  if ((how & 8) != 0) options.field_members = {"value", "a"};
  const bool limited = (how & 32) != 0;
  if (limited) options.limits = {" \n", "\t\n,", false};
  const std::unique_ptr<RowParser> parser = format == 0   ? NewTsvParser(options)
                                            : format == 1 ? NewCsvParser(options)
                                                          : NewNdjsonParser(options);
  const Result whole = ParseWhole(*parser, text.substr(ByteOrderMarkBytes(text)));
  ChunkOptions chunks;
  chunks.chunk_bytes = 1 + size % 32;
  chunks.quotes = format == 1;
  chunks.delimiter = options.delimiter;
  // However the bytes come, they are the same rows.
  if (!(whole == ParseChunks(*parser, text, chunks, 1 + size / 32))) __builtin_trap();
  text.remove_prefix(ByteOrderMarkBytes(text));
  if (format < 2 && !limited && !(whole == Reference(text, options, format == 1))) {
    __builtin_trap();
  }
}

}  // namespace
}  // namespace kvarts::groupby_text

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data) + 3, size - 3);
  kvarts::groupby_text::Fuzz(text, data[0] % 3, data[1], data[2]);
  return 0;
}
