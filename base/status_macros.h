#ifndef KVARTS_BASE_STATUS_MACROS_H_
#define KVARTS_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function where `expression`, an absl::Status, is
// not OK.
#define KVARTS_RETURN_IF_ERROR(expression)           \
  do {                                               \
    absl::Status kvarts_status_ = (expression);      \
    if (!kvarts_status_.ok()) return kvarts_status_; \
  } while (false)

#define KVARTS_STATUS_CONCAT_INNER_(a, b) a##b
#define KVARTS_STATUS_CONCAT_(a, b) KVARTS_STATUS_CONCAT_INNER_(a, b)

// KVARTS_ASSIGN_OR_RETURN(auto file, Open(path)): the value, or a return of
// the status. `lhs` with a comma needs parentheses around its type.
#define KVARTS_ASSIGN_OR_RETURN(lhs, expression) \
  KVARTS_ASSIGN_OR_RETURN_IMPL_(KVARTS_STATUS_CONCAT_(kvarts_statusor_, __LINE__), lhs, expression)
// NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot stand in them.
#define KVARTS_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expression) \
  auto statusor = (expression);                                  \
  if (!statusor.ok()) return std::move(statusor).status();       \
  lhs = *std::move(statusor)
// NOLINTEND(bugprone-macro-parentheses)

#endif  // KVARTS_BASE_STATUS_MACROS_H_
