#include "testing/fault/fault_rules.h"

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/fs/errno_status.h"

namespace kvarts {
namespace {

using Kind = FileOperation::Kind;

bool CanBefall(Fault fault, const FileOperation& operation) {
  const Kind kind = operation.kind;
  switch (fault) {
    case Fault::kIoError:
      return kind != Kind::kFreeSpace;
    case Fault::kNoSpace:
      return (operation.is_mutating() && kind != Kind::kDelete && kind != Kind::kDeleteDir) ||
             kind == Kind::kClose;
    case Fault::kShortWrite:
    case Fault::kLateError:
      return operation.is_write();
    case Fault::kSyncLosesPages:
      return kind == Kind::kSync || kind == Kind::kClose;
    case Fault::kDoneButError:
      return operation.is_mutating();
    case Fault::kIgnored:
      return kind == Kind::kSync || kind == Kind::kSyncDir;
  }
  return false;
}

}  // namespace

void FaultRules::Set(absl::optional<FaultRule> rule) {
  MutexLock lock(&mu_);
  rule_ = std::move(rule);
  matched_ = 0;
  injected_ = 0;
}

absl::optional<Fault> FaultRules::Next(const FileOperation& operation) {
  MutexLock lock(&mu_);
  ++operations_;
  if (!rule_.has_value() || !CanBefall(rule_->fault, operation)) return absl::nullopt;
  if (rule_->matches && !rule_->matches(operation)) return absl::nullopt;
  const uint64_t index = matched_++;
  if (rule_->forever ? index < rule_->nth : index != rule_->nth) return absl::nullopt;
  ++injected_;
  return rule_->fault;
}

uint64_t FaultRules::matched() const {
  MutexLock lock(&mu_);
  return matched_;
}

uint64_t FaultRules::injected() const {
  MutexLock lock(&mu_);
  return injected_;
}

uint64_t FaultRules::operations() const {
  MutexLock lock(&mu_);
  return operations_;
}

absl::Status FaultStatus(Fault fault, const FileOperation& operation) {
  const bool no_space = fault == Fault::kNoSpace || fault == Fault::kShortWrite;
  return ErrnoStatus(no_space ? ENOSPC : EIO, operation.path,
                     absl::StrCat(OperationName(operation.kind), " (injected)"));
}

absl::Status WithFault(absl::optional<Fault> fault, const FileOperation& operation,
                       absl::FunctionRef<absl::Status()> call) {
  if (fault == Fault::kIgnored) return absl::OkStatus();
  if (fault.has_value() && fault != Fault::kDoneButError) return FaultStatus(*fault, operation);
  const absl::Status status = call();
  if (!status.ok() || !fault.has_value()) return status;
  return FaultStatus(*fault, operation);
}

}  // namespace kvarts
