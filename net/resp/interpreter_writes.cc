// Writes that go to the store together.

#include <utility>

#include "absl/base/optimization.h"
#include "net/resp/interpreter.h"
#include "net/resp/key_slots.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kMaxWritesAtOnce = 64;

}  // namespace

bool Interpreter::AddWrite(const Command& command, absl::Span<const absl::string_view> args) {
  const size_t first = writing_.batch.mutations().size();
  if (!command.write->add(args, &writing_.batch)) return false;
  if (pending_writes_.empty()) first_write_.assign(args.begin(), args.end());
  pending_writes_.push_back({&command, first});
  existed_wanted_ = existed_wanted_ || command.write->needs_existed;
  work_ += writing_.batch.mutations().size() - first - 1;
  return true;
}

bool Interpreter::FlushFullWrites() {
  const bool full = writing_.batch.mutations().size() >= kMaxWritesAtOnce || batch_is_pending();
  return !full || FlushWrites();
}

// The status of each mutation is in the results.
bool Interpreter::FlushWrites() {
  if (pending_writes_.empty()) return true;
  writing_.options.report_existed = existed_wanted_;
  writing_.options.atomic =
      batch_is_pending() && IsWithinScope(serving_->capabilities, writing_.batch);
  if (ABSL_PREDICT_FALSE(submits_)) {
    is_out_ = true;
    outcome_ = Outcome::kWrites;
    return false;
  }
  Begin(*pending_writes_[0].command);
  WriteResults* const written = &scratch_->written;
  serving_->store->Write(writing_.batch, writing_.options, written).IgnoreError();
  AnswerWrites(written->results);
  return true;
}

void Interpreter::AnswerWrites(absl::Span<const WriteResult> results) {
  Begin(*pending_writes_[0].command);
  // Noted by the first of them.
  TookTime(*pending_writes_[0].command, first_write_, pending_writes_.size() - 1);
  size_t row = 0;  // the first of those of one command
  for (size_t i = 0; i < pending_writes_.size(); ++i) {
    const size_t end =
        i + 1 < pending_writes_.size() ? pending_writes_[i + 1].first_mutation : results.size();
    if (ABSL_PREDICT_FALSE(pending_writes_[i].command != pending_writes_[row].command)) {
      row_.calls += i - std::exchange(row, i);
      Share(*pending_writes_[i].command);
    }
    AnswerWrite(*pending_writes_[i].command,
                results.subspan(pending_writes_[i].first_mutation,
                                end - pending_writes_[i].first_mutation));
  }
  row_.calls += pending_writes_.size() - row;
  EndShared();
  pending_writes_.clear();
  writing_.batch.Clear();
  existed_wanted_ = false;
}

void Interpreter::AnswerWrite(const Command& command, absl::Span<const WriteResult> results) {
  for (const WriteResult& result : results) {
    if (ABSL_PREDICT_FALSE(!result.status.ok())) return reply_.Error(ErrorText(result.status));
  }
  command.write->answer(results, &reply_);
}

}  // namespace resp
}  // namespace kvarts
