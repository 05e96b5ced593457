#ifndef KVARTS_GROUPBY_TEXT_FEED_H_
#define KVARTS_GROUPBY_TEXT_FEED_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "groupby/grouping.h"
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

// Where rows go: Grouping::AddInOrder(). Called from several threads.
using FeedTarget = std::function<absl::Status(uint64_t sequence, absl::Span<const KeyValue> rows)>;

// Reads all of an input into `target`. Each of the threads takes the next chunk, parses
// it and hands it on. Of what is wrong the first in the input is returned, with its line;
// `cancel` is called as soon as something is, so that `target` does not wait for rows
// that will not come.
absl::Status Feed(ChunkReader* reader, const RowParser& parser, const FeedOptions& options,
                  const FeedTarget& target, const std::function<void()>& cancel,
                  FeedReport* report);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_FEED_H_
