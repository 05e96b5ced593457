#include "groupby/text/group_writer.h"

#include "base/status_macros.h"
#include "groupby/text/writers.h"

namespace kvarts::groupby_text {

OutputLimits LimitsOf(const WriterOptions& options) {
  OutputLimits limits;
  const bool data = options.format == OutputFormat::kData;
  limits.empty_key = !data;
  if (options.encoding != Encoding::kNone || options.format == OutputFormat::kNdjson) {
    return limits;
  }
  limits.key_bytes = data ? " \n" : "\t\n";
  if (!options.list) return limits;
  limits.value_bytes = data ? "\n" : "\t\n";
  if (limits.value_bytes.find(options.separator) == std::string::npos) {
    limits.value_bytes.push_back(options.separator);
  }
  return limits;
}

std::unique_ptr<GroupWriter> NewGroupWriter(const WriterOptions& options,
                                            const std::vector<AggregateSpec>& aggregates) {
  return options.format == OutputFormat::kNdjson ? NewJsonWriter(options, aggregates)
                                                 : NewLinesWriter(options, aggregates);
}

}  // namespace kvarts::groupby_text
