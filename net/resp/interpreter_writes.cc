// Writes that go to the store together.

#include "absl/base/optimization.h"
#include "net/resp/interpreter.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kMaxWritesAtOnce = 64;

}  // namespace

bool Interpreter::GatherWrite(const Command& command, absl::Span<const absl::string_view> args) {
  const size_t first = batch_.mutations().size();
  if (!command.write->add(args, &batch_)) return false;
  FlushReads();
  if (pending_writes_.empty()) first_write_.assign(args.begin(), args.end());
  pending_writes_.push_back({&command, first});
  existed_wanted_ = existed_wanted_ || command.write->needs_existed;
  work_ += batch_.mutations().size() - first - 1;
  if (batch_.mutations().size() >= kMaxWritesAtOnce) FlushWrites();
  return true;
}

void Interpreter::FlushWrites() {
  if (pending_writes_.empty()) return;
  WriteOptions options;
  options.report_existed = existed_wanted_;
  WriteResults* const written = &scratch_->written;
  // The status of each is in the results.
  serving_->store->Write(batch_, options, written).IgnoreError();
  // Noted by the first of them.
  TookTime(*pending_writes_[0].command, first_write_);
  const auto results = absl::MakeConstSpan(written->results);
  for (size_t i = 0; i < pending_writes_.size(); ++i) {
    const size_t end =
        i + 1 < pending_writes_.size() ? pending_writes_[i + 1].first_mutation : results.size();
    AnswerWrite(*pending_writes_[i].command,
                results.subspan(pending_writes_[i].first_mutation,
                                end - pending_writes_[i].first_mutation));
  }
  pending_writes_.clear();
  batch_.Clear();
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
