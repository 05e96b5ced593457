#ifndef KVARTS_BENCH_MIX_H_
#define KVARTS_BENCH_MIX_H_

#include "base/language.h"

#include <array>
#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// What a request of a workload does.
//   get     reads a key               mget    reads a batch of keys in one call
//   put     writes a record anew      insert  writes one that was not there
//   delete  deletes a record          scan    reads entries from a key on
enum class Operation : unsigned char { kGet = 0, kMultiGet, kPut, kInsert, kDelete, kScan };
inline constexpr size_t kOperations = 6;
inline constexpr std::array<Operation, kOperations> kAllOperations = {
    Operation::kGet,    Operation::kMultiGet, Operation::kPut,
    Operation::kInsert, Operation::kDelete,   Operation::kScan};

absl::string_view ToText(Operation operation);
inline bool IsWrite(Operation operation) {
  return operation == Operation::kPut || operation == Operation::kInsert ||
         operation == Operation::kDelete;
}

// How often which operation comes, as parts of 1, by its number.
using OperationMix = std::array<double, kOperations>;

// "get:95,put:5": weights of any sum. kInvalidArgument quotes what is wrong.
absl::StatusOr<OperationMix> ParseMix(absl::string_view text);

}  // namespace kvarts

#endif  // KVARTS_BENCH_MIX_H_
