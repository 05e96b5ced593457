#ifndef KVARTS_TESTING_FAULT_FAULT_RULES_H_
#define KVARTS_TESTING_FAULT_FAULT_RULES_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {

// Thread-safe. The rule of a FaultFileSystem, and its counts.
class FaultRules {
 public:
  explicit FaultRules(FaultFileSystem::LoseUnsynced lose) : lose_unsynced(std::move(lose)) {}

  void Set(absl::optional<FaultRule> rule);
  // Counts the operation; what is to befall it, if anything.
  absl::optional<Fault> Next(const FileOperation& operation);

  uint64_t matched() const;
  uint64_t injected() const;
  uint64_t operations() const;

  const FaultFileSystem::LoseUnsynced lose_unsynced;

 private:
  mutable Mutex mu_;
  absl::optional<FaultRule> rule_ ABSL_GUARDED_BY(mu_);
  uint64_t matched_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t injected_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t operations_ ABSL_GUARDED_BY(mu_) = 0;
};

// The error of `fault` on the operation.
absl::Status FaultStatus(Fault fault, const FileOperation& operation);

// `fault` (none: just the call) for an operation that either is done or is not.
absl::Status WithFault(absl::optional<Fault> fault, const FileOperation& operation,
                       absl::FunctionRef<absl::Status()> call);

}  // namespace kvarts

#endif  // KVARTS_TESTING_FAULT_FAULT_RULES_H_
