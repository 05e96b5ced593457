#ifndef KVARTS_GROUPBY_TEXT_WRITERS_H_
#define KVARTS_GROUPBY_TEXT_WRITERS_H_

#include <memory>
#include <vector>

#include "groupby/text/group_writer.h"

namespace kvarts::groupby_text {

// kTsv and kData.
std::unique_ptr<GroupWriter> NewLinesWriter(const WriterOptions& options,
                                            const std::vector<AggregateSpec>& aggregates);
// kNdjson.
std::unique_ptr<GroupWriter> NewJsonWriter(const WriterOptions& options,
                                           const std::vector<AggregateSpec>& aggregates);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_WRITERS_H_
