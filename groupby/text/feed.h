#ifndef KVARTS_GROUPBY_TEXT_FEED_H_
#define KVARTS_GROUPBY_TEXT_FEED_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "groupby/text/chunk_reader.h"
#include "groupby/text/row_parser.h"

namespace kvarts::groupby_text {

struct FeedOptions {
  std::string name;  // of the input, for errors
  int threads = 1;
  uint64_t first_line = 1;  // 2 where a header was taken
  // Called after each chunk, from any of the threads; may be empty.
  std::function<void(uint64_t rows, uint64_t skipped)> progress;
};

struct FeedReport {
  uint64_t rows = 0;
  uint64_t skipped = 0;  // malformed ones
};

// Where rows go, as to Grouping::AddInOrder(). Called from several threads. An error of one
// row sets `bad_row` to its index.
using FeedTarget =
    std::function<absl::Status(uint64_t sequence, const ParsedRows& rows, size_t* bad_row)>;

// Reads all of an input into `target`. Each of the threads takes the next chunk, parses
// it and hands it on. Of what is wrong the first in the input is returned, with its line;
// `cancel` is called as soon as something is, so that `target` does not wait for rows
// that will not come.
absl::Status Feed(ChunkReader* reader, const RowParser& parser, const FeedOptions& options,
                  const FeedTarget& target, const std::function<void()>& cancel,
                  FeedReport* report);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_FEED_H_
