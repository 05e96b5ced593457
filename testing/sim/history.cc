#include "testing/sim/history.h"

#include <glog/logging.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

std::string Quoted(const absl::optional<std::string>& value) {
  return value.has_value() ? absl::StrCat("\"", absl::CHexEscape(*value), "\"") : "absent";
}

std::string Told(const HistoryOperation& operation) {
  switch (operation.outcome) {
    case HistoryOperation::kUnderWay:
      return "no answer";
    case HistoryOperation::kFailed:
      return "failed";
    case HistoryOperation::kMayHaveHappened:
      return "may have happened";
    case HistoryOperation::kOk:
      break;
  }
  switch (operation.kind) {
    case HistoryOperation::kRead:
      return Quoted(operation.result);
    case HistoryOperation::kIncrement:
      return operation.result.has_value() ? *operation.result : "ok";
    case HistoryOperation::kCompareAndSet:
      return operation.done.value_or(false) ? "done" : "not equal";
    case HistoryOperation::kDelete:
      if (operation.done.has_value()) return *operation.done ? "existed" : "was absent";
      return "ok";
    case HistoryOperation::kPut:
      return "ok";
  }
  return "?";
}

}  // namespace

std::string ToString(const HistoryOperation& operation) {
  std::string text = absl::StrCat("client ", operation.client, " ");
  const std::string key = absl::StrCat("\"", absl::CHexEscape(operation.key), "\"");
  switch (operation.kind) {
    case HistoryOperation::kRead:
      absl::StrAppend(&text, "read ", key);
      break;
    case HistoryOperation::kPut:
      absl::StrAppend(&text, "put ", key, " ", Quoted(operation.value));
      break;
    case HistoryOperation::kDelete:
      absl::StrAppend(&text, "delete ", key);
      break;
    case HistoryOperation::kCompareAndSet:
      absl::StrAppend(&text, "compare-and-set ", key, " ", Quoted(operation.expected), " to ",
                      Quoted(operation.value));
      break;
    case HistoryOperation::kIncrement:
      absl::StrAppend(&text, "increment ", key, " by ", operation.delta);
      break;
  }
  absl::StrAppend(&text, " -> ", Told(operation), "  [", absl::FormatDuration(operation.called_at),
                  ", ");
  absl::StrAppend(&text,
                  operation.answered_at == absl::InfiniteDuration()
                      ? "..."
                      : absl::FormatDuration(operation.answered_at),
                  "]");
  return text;
}

size_t History::Call(HistoryOperation operation, absl::Duration now) {
  MutexLock lock(&mu_);
  operation.outcome = HistoryOperation::kUnderWay;
  operation.called_at = now;
  operation.called = next_++;
  operations_.push_back(std::move(operation));
  return operations_.size() - 1;
}

void History::Ok(size_t number, absl::Duration now, absl::optional<std::string> result) {
  Answer(number, now, HistoryOperation::kOk, std::move(result), absl::nullopt);
}

void History::Done(size_t number, absl::Duration now, bool done) {
  Answer(number, now, HistoryOperation::kOk, absl::nullopt, done);
}

void History::Ok(size_t number, absl::Duration now) {
  Answer(number, now, HistoryOperation::kOk, absl::nullopt, absl::nullopt);
}

void History::Failed(size_t number, absl::Duration now) {
  Answer(number, now, HistoryOperation::kFailed, absl::nullopt, absl::nullopt);
}

void History::MayHaveHappened(size_t number, absl::Duration now) {
  Answer(number, now, HistoryOperation::kMayHaveHappened, absl::nullopt, absl::nullopt);
}

void History::Answer(size_t number, absl::Duration now, HistoryOperation::Outcome outcome,
                     absl::optional<std::string> result, absl::optional<bool> done) {
  MutexLock lock(&mu_);
  HistoryOperation& operation = operations_[number];
  CHECK_EQ(operation.outcome, HistoryOperation::kUnderWay) << "answered twice";
  operation.outcome = outcome;
  operation.result = std::move(result);
  operation.done = done;
  operation.answered_at = now;
  operation.answered = next_++;
}

std::vector<HistoryOperation> History::operations() const {
  MutexLock lock(&mu_);
  return operations_;
}

}  // namespace kvarts
