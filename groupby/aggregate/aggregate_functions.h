#ifndef KVARTS_GROUPBY_AGGREGATE_AGGREGATE_FUNCTIONS_H_
#define KVARTS_GROUPBY_AGGREGATE_AGGREGATE_FUNCTIONS_H_

#include "base/language.h"

#include <cstddef>
#include <memory>

#include "groupby/aggregate/aggregate_function.h"

namespace kvarts {

// The ready-made functions; what they give is in aggregate.h.
std::shared_ptr<const AggregateFunction> CountFunction();
std::shared_ptr<const AggregateFunction> DistinctFunction();
std::shared_ptr<const AggregateFunction> SumFunction();
std::shared_ptr<const AggregateFunction> MeanFunction();
std::shared_ptr<const AggregateFunction> MinFunction();
std::shared_ptr<const AggregateFunction> MaxFunction();
std::shared_ptr<const AggregateFunction> MinTextFunction();
std::shared_ptr<const AggregateFunction> MaxTextFunction();
std::shared_ptr<const AggregateFunction> FirstFunction();
std::shared_ptr<const AggregateFunction> LastFunction();
// The `k` largest numbers. k is at least 1 and at most kMaxTop.
constexpr size_t kMaxTop = 10000;
std::shared_ptr<const AggregateFunction> TopFunction(size_t k);

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_AGGREGATE_AGGREGATE_FUNCTIONS_H_
