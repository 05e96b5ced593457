#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {
namespace {

// Of one call to a store that does not promise one state for all keys.
constexpr size_t kKeysAtOnce = 256;

bool ValueOrNull(const ReadResult& result, ReplyWriter* reply) {
  if (result.found) return reply->Value(result.value);
  reply->Null();
  return false;
}

}  // namespace

bool AnswerGet(const ReadAnswer& answer) { return ValueOrNull(answer.results[0], answer.reply); }

bool AnswerMGet(const ReadAnswer& answer) {
  answer.reply->Array(answer.results.size());
  bool lent = false;
  for (const ReadResult& result : answer.results) {
    if (ValueOrNull(result, answer.reply)) lent = true;
  }
  return lent;
}

// An MGET of many keys: some at a time, so that what a store copies is bounded.
void MGetInParts(CommandCall* call) {
  Output* const output = call->reply->output();
  const Output::Mark mark = output->mark();
  const size_t room = output->size() + call->state->options.max_answer_bytes;
  const auto keys = call->args.subspan(1);
  call->reply->Array(keys.size());
  for (size_t i = 0; i < keys.size(); i += kKeysAtOnce) {
    const auto some = keys.subspan(i, kKeysAtOnce);
    auto results = std::make_shared<ReadResults>();
    call->store()->MultiGet(some, ReadOptions(), results.get());
    call->work += some.size();
    for (const ReadResult& result : *results) {
      if (!result.status.ok()) {
        output->Rewind(mark);
        return call->reply->Error(ErrorText(result.status));
      }
      ValueOrNull(result, call->reply);
    }
    output->Keep(std::move(results));
    if (output->size() > room) {
      output->Rewind(mark);
      return call->reply->Error(absl::StrCat("ERR the values are over ",
                                             call->state->options.max_answer_bytes,
                                             " bytes: ask for fewer keys at once"));
    }
  }
}

bool AnswerStrLen(const ReadAnswer& answer) {
  answer.reply->Integer(static_cast<int64_t>(answer.results[0].value.size()));
  return false;
}

bool AnswerGetRange(const ReadAnswer& answer) {
  int64_t start = 0;
  int64_t end = 0;
  if (!ParseInteger(answer.args[2], &start) || !ParseInteger(answer.args[3], &end)) {
    answer.reply->Error(kNotAnInteger);
    return false;
  }
  const absl::string_view value = answer.results[0].value;
  const auto size = static_cast<int64_t>(value.size());
  if (start < 0 && end < 0 && start > end) {
    answer.reply->Bulk("");
    return false;
  }
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (end < 0) end = std::max<int64_t>(end + size, 0);
  end = std::min(end, size - 1);
  if (start > end || size == 0) {
    answer.reply->Bulk("");
    return false;
  }
  return answer.reply->Value(
      value.substr(static_cast<size_t>(start), static_cast<size_t>(end - start + 1)));
}

}  // namespace resp
}  // namespace kvarts
