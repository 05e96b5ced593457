#include "net/resp/script_calls.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "net/cluster_map.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kMaxKeysAtOnce = 256;
constexpr size_t kCostOfACall = 64;  // of what is kept beside the arguments

const Command* Find(absl::Span<const absl::string_view> args) {
  const Command* const command = FindCommand(args[0]);
  if (command == nullptr || !IsContainer(*command) || args.size() < 2) return command;
  return FindSubcommand(*command, args[1]);
}

}  // namespace

void ScriptCalls::Call(absl::Span<const absl::string_view> args, ReplyWriter* reply) {
  const Command* const command = Find(args);
  if (command == nullptr) return reply->Error("ERR Unknown Redis command called from script");
  const std::string refusal = WhyRefused(*command, args);
  if (!refusal.empty()) return reply->Error(refusal);
  CarryOut(*command, args, reply);
}

std::string ScriptCalls::WhyRefused(const Command& command,
                                    absl::Span<const absl::string_view> args) {
  if (!ArityHolds(command, args.size())) {
    return "ERR Wrong number of args calling Redis command from script";
  }
  if ((command.flags & (kNoScript | kContainer)) != 0) {
    return "ERR This Redis command is not allowed from script";
  }
  const bool writes = (command.flags & kWrites) != 0;
  if (writes && read_only_) return "ERR Write commands are not allowed from read-only scripts.";
  if (writes && !serving_->capabilities.has(serving_->capabilities.write)) return kReadOnlyError;
  touched_ += kCostOfACall;
  for (const absl::string_view arg : args) touched_ += arg.size();
  if (touched_ > call_->state->options.max_request_bytes) {
    return absl::StrCat("ERR the commands of a script are over ",
                        call_->state->options.max_request_bytes, " bytes");
  }
  return call_->state->options.cluster == nullptr ? "" : WhyElsewhere(command, args);
}

// A script is of one slot, as a batch of writes is.
std::string ScriptCalls::WhyElsewhere(const Command& command,
                                      absl::Span<const absl::string_view> args) {
  KeySlots here;
  here.Add(command, args);
  if (!here.any()) return "";
  if (here.several()) return kCrossSlot;
  const bool is_known = slots_.any() && slots_.slot() == here.slot();
  if (is_known) return "";
  const std::shared_ptr<const ClusterMap> map = call_->state->options.cluster->map();
  if (map->myself < 0 || map->owner[here.slot()] != map->myself) {
    return "ERR Script attempted to access a non local key in a cluster node";
  }
  if (slots_.any()) return "ERR Script attempted to access keys that do not hash to the same slot";
  slots_ = here;
  return "";
}

void ScriptCalls::CarryOut(const Command& command, absl::Span<const absl::string_view> args,
                           ReplyWriter* reply) {
  if (command.read != nullptr && (command.handler == nullptr || args.size() <= kMaxKeysAtOnce)) {
    return Read(command, args, reply);
  }
  if (command.handler == nullptr) return Write(command, args, reply);
  CommandCall call{command, args, call_->state, call_->connection, serving_, &scratch_, reply};
  command.handler(&call);
  call_->work += call.work + 1;
}

void ScriptCalls::Read(const Command& command, absl::Span<const absl::string_view> args,
                       ReplyWriter* reply) {
  std::vector<absl::string_view> keys;
  const size_t last = LastKey(command, args.size());
  for (auto i = static_cast<size_t>(command.first_key); i <= last;
       i += static_cast<size_t>(command.key_step)) {
    keys.push_back(args[i]);
  }
  ReadResults* const results = scratch_.results.get();
  ReadOptions options;
  options.value = (command.flags & kNeedsValues) != 0;
  serving_->store->MultiGet(keys, options, results);
  call_->work += keys.size();
  for (const ReadResult& result : *results) {
    if (!result.status.ok()) return reply->Error(ErrorText(result.status));
  }
  // What is lent stays good until the next command: the reply is taken before.
  command.read(
      {command, args, absl::MakeConstSpan(results->begin(), results->size()), call_->state, reply});
}

void ScriptCalls::Write(const Command& command, absl::Span<const absl::string_view> args,
                        ReplyWriter* reply) {
  WriteBatch batch;
  command.write->add(args, &batch);
  WriteOptions options;
  options.report_existed = command.write->needs_existed;
  serving_->store->Write(batch, options, &scratch_.written).IgnoreError();
  call_->work += batch.mutations().size();
  for (const WriteResult& result : scratch_.written.results) {
    if (!result.status.ok()) return reply->Error(ErrorText(result.status));
  }
  command.write->answer(scratch_.written.results, reply);
}

}  // namespace resp
}  // namespace kvarts
