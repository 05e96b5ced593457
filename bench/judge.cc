#include "bench/judge.h"

namespace kvarts {

bool MayGoOn(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kInvalidArgument:
      return false;
    default:
      return true;
  }
}

bool Judge::IsRight(uint64_t record, absl::string_view value) const {
  if (!verify_values_) return true;
  // What nobody wrote was found.
  if (record == BenchRequest::kAbsentRecord) return false;
  return value.size() == value_bytes_ && IsBenchValue(record, value);
}

absl::Status Judge::Read(const BenchRequest& request, const ReadResults& results,
                         OperationTally* tally) const {
  absl::Status error;
  for (size_t i = 0; i < results.size(); ++i) {
    const ReadResult& result = results[i];
    if (!result.status.ok()) {
      if (error.ok()) error = result.status;
    } else if (result.found) {
      ++tally->hits;
      tally->value_bytes += result.value.size();
      if (!IsRight(request.records[i], result.value)) ++tally->wrong_values;
    } else {
      ++tally->misses;
      if (request.records[i] != BenchRequest::kAbsentRecord) ++tally->unexpected_misses;
    }
  }
  tally->keys += results.size();
  if (error.ok() && !results.intact()) error = absl::DataLossError("a data file shrank");
  return error;
}

absl::Status Judge::Write(const BenchRequest& request, const absl::Status& status,
                          OperationTally* tally) const {
  tally->keys += request.keys.size();
  if (status.ok()) tally->value_bytes += request.value.size();
  return status;
}

absl::Status Judge::Scan(size_t entries, size_t value_bytes, const absl::Status& status,
                         OperationTally* tally) const {
  tally->keys += entries;
  tally->value_bytes += value_bytes;
  return status;
}

}  // namespace kvarts
