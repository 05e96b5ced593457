// EVAL, EVALSHA, SCRIPT: scripts in Lua, each a transaction.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "net/resp/handlers.h"
#include "net/resp/key_slots.h"
#include "net/resp/modify.h"
#include "net/resp/script_calls.h"
#include "net/resp/scripts/lua_script.h"
#include "net/resp/scripts/script.h"
#include "net/resp/transaction_store.h"

namespace kvarts {
namespace resp {
namespace {

constexpr int kTries = 16;
// ... with the lock that keeps other such transactions away: only plain writers remain.
constexpr int kMoreTries = 1000;
constexpr char kNoMatch[] = "NOSCRIPT No matching script. Please use EVAL.";
constexpr char kNoMemory[] = "OOM there is no memory for a script";
constexpr char kNothingDone[] = ". Nothing that it wrote was kept.";

// A script, and what it is called with.
struct Evaluation {
  std::shared_ptr<const Script> script;
  bool read_only = false;
  absl::Span<const absl::string_view> keys;
  absl::Span<const absl::string_view> args;
  ScriptLimits limits;
  KeySlots slots;  // of the keys, in a cluster
};

// Null: the reply is written.
std::shared_ptr<const Script> Load(CommandCall* call, absl::string_view text) {
  std::shared_ptr<const Script> known = call->state->scripts.Find(Sha1Hex(text));
  if (known != nullptr) return known;
  absl::StatusOr<Script> parsed = ParseScript(text);
  if (!parsed.ok()) {
    AnswerStatus(parsed.status(), call->reply);
    return nullptr;
  }
  auto script = std::make_shared<const Script>(*std::move(parsed));
  std::unique_ptr<LuaScripts> lua = call->state->lua.Take();
  const std::string error = lua == nullptr ? kNoMemory : lua->Compile(*script);
  if (!error.empty()) {
    call->reply->Error(error);
    return nullptr;
  }
  call->state->lua.GiveBack(std::move(lua));
  call->state->scripts.Add(script);
  return script;
}

std::string WhyEnded(const CommandCall& call, ScriptEnd end) {
  const RespOptions& options = call.state->options;
  switch (end) {
    case ScriptEnd::kNone:
    case ScriptEnd::kLong:
      break;
    case ScriptEnd::kTime:
      return absl::StrCat("ERR the script took longer than ",
                          absl::FormatDuration(options.script_timeout), kNothingDone);
    case ScriptEnd::kMemory:
      return absl::StrCat("ERR the script took more than ", options.max_script_bytes,
                          " bytes of memory", kNothingDone);
    case ScriptEnd::kKilled:
      return absl::StrCat("ERR Script killed by user with SCRIPT KILL", kNothingDone);
    case ScriptEnd::kAnswer:
      return absl::StrCat("ERR the script's answer is over ", options.max_answer_bytes,
                          " bytes, or has too many levels", kNothingDone);
  }
  return "";
}

// True: it has answered what the run has.
bool RunOver(CommandCall* call, const Evaluation& evaluation, const Serving& serving) {
  std::unique_ptr<LuaScripts> lua = call->state->lua.Take();
  const std::string error = lua == nullptr ? kNoMemory : lua->Compile(*evaluation.script);
  if (!error.empty()) {
    call->reply->Error(error);
    return false;
  }
  ScriptCalls calls(call, &serving, evaluation.read_only, evaluation.slots);
  const Output::Mark mark = call->reply->output()->mark();
  const ScriptEnd end = lua->Run(*evaluation.script, evaluation.keys, evaluation.args,
                                 evaluation.limits, &calls, call->reply);
  if (end == ScriptEnd::kNone) {
    call->state->lua.GiveBack(std::move(lua));
    return true;
  }
  call->reply->output()->Rewind(mark);
  call->too_long = end == ScriptEnd::kLong;
  if (!call->too_long) call->reply->Error(WhyEnded(*call, end));
  return false;
}

// False: others wrote what it read; it had no effect, and wrote no reply.
bool TryToEvaluate(CommandCall* call, const Evaluation& evaluation) {
  const Output::Mark mark = call->reply->output()->mark();
  TransactionStore store(call->store(), call->state->options.clock);
  const Serving serving(call->serving->runner, &store);
  if (!RunOver(call, evaluation, serving)) return true;
  const absl::StatusOr<TransactionStore::Outcome> outcome = store.Commit({});
  if (outcome.ok() && *outcome == TransactionStore::Outcome::kDone) return true;
  call->reply->output()->Rewind(mark);
  if (!outcome.ok()) call->reply->Error(ErrorText(outcome.status()));
  return !outcome.ok();
}

void Evaluate(CommandCall* call, const Evaluation& evaluation) {
  const Capabilities& capabilities = call->capabilities();
  if (!capabilities.has(capabilities.write)) {
    RunOver(call, evaluation, *call->serving);
    return;
  }
  if (const absl::Status status = CheckTransactions(capabilities); !status.ok()) {
    return call->reply->Error(ErrorText(status));
  }
  // Of EXEC nobody else sees the store. Where the one below has changed, EXEC is tried again.
  const bool is_within = call->serving->store != call->serving->runner->store();
  for (int i = 0; i < (is_within ? 1 : kTries); ++i) {
    if (TryToEvaluate(call, evaluation)) return;
  }
  if (!is_within) {
    MutexLock lock(&call->state->unlucky_transactions);
    for (int i = 0; i < kMoreTries; ++i) {
      if (TryToEvaluate(call, evaluation)) return;
    }
  }
  call->reply->Error("ERR others wrote the script's keys at every try");
}

// In a cluster: whether the keys are this node's. Else the reply is written.
bool HoldsKeys(CommandCall* call, Evaluation* evaluation) {
  if (call->state->options.cluster == nullptr || evaluation->keys.empty()) return true;
  for (const absl::string_view key : evaluation->keys) evaluation->slots.Add(key);
  ReadOptions options;
  options.value = false;
  ReadResults* const results = call->scratch->results.get();
  call->store()->Read(evaluation->keys[0], options, results);
  const absl::Status& status = (*results)[0].status;
  if (!status.ok()) call->reply->Error(ErrorText(status));
  return status.ok();
}

std::shared_ptr<const Script> FindScript(CommandCall* call, bool by_sha) {
  if (!by_sha) return Load(call, call->args[1]);
  std::shared_ptr<const Script> script =
      call->state->scripts.Find(absl::AsciiStrToLower(call->args[1]));
  if (script == nullptr) call->reply->Error(kNoMatch);
  return script;
}

// EVAL script|sha numkeys key ... arg ...
void EvaluateCommand(CommandCall* call, bool by_sha, bool read_only) {
  const auto args = call->args;
  if (by_sha && args[1].size() != 40) return call->reply->Error(kNoMatch);
  int64_t keys = 0;
  if (!ParseInteger(args[2], &keys)) return call->reply->Error(kNotAnInteger);
  if (keys > static_cast<int64_t>(args.size()) - 3) {
    return call->reply->Error("ERR Number of keys can't be greater than number of args");
  }
  if (keys < 0) return call->reply->Error("ERR Number of keys can't be negative");
  Evaluation evaluation;
  evaluation.script = FindScript(call, by_sha);
  if (evaluation.script == nullptr) return;
  if (read_only && evaluation.script->has_flags && !evaluation.script->no_writes) {
    return call->reply->Error("ERR Can not execute a script with write flag using *_ro command.");
  }
  evaluation.read_only = read_only || evaluation.script->no_writes;
  evaluation.keys = args.subspan(3, static_cast<size_t>(keys));
  evaluation.args = args.subspan(3 + static_cast<size_t>(keys));
  evaluation.limits.deadline = absl::Now() + call->state->options.script_timeout;
  evaluation.limits.max_answer_bytes = call->state->options.max_answer_bytes;
  evaluation.limits.brief = call->brief;
  if (HoldsKeys(call, &evaluation)) Evaluate(call, evaluation);
}

}  // namespace

void Eval(CommandCall* call) { EvaluateCommand(call, /*by_sha=*/false, /*read_only=*/false); }
void EvalRo(CommandCall* call) { EvaluateCommand(call, /*by_sha=*/false, /*read_only=*/true); }
void EvalSha(CommandCall* call) { EvaluateCommand(call, /*by_sha=*/true, /*read_only=*/false); }
void EvalShaRo(CommandCall* call) { EvaluateCommand(call, /*by_sha=*/true, /*read_only=*/true); }

void ScriptLoad(CommandCall* call) {
  const std::shared_ptr<const Script> script = Load(call, call->args[2]);
  if (script != nullptr) call->reply->Bulk(script->sha);
}

void ScriptExists(CommandCall* call) {
  const auto shas = call->args.subspan(2);
  call->reply->Array(shas.size());
  for (const absl::string_view sha : shas) {
    const bool is_there =
        sha.size() == 40 && call->state->scripts.Find(absl::AsciiStrToLower(sha)) != nullptr;
    call->reply->Integer(is_there ? 1 : 0);
  }
}

// SCRIPT FLUSH [ASYNC|SYNC]
void ScriptFlush(CommandCall* call) {
  const auto args = call->args;
  const bool is_right =
      args.size() == 2 || (args.size() == 3 && (absl::EqualsIgnoreCase(args[2], "ASYNC") ||
                                                absl::EqualsIgnoreCase(args[2], "SYNC")));
  if (!is_right) return call->reply->Error("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
  call->state->scripts.Clear();
  call->reply->Ok();
}

void ScriptKill(CommandCall* call) {
  if (call->state->lua.running().Kill()) return call->reply->Ok();
  call->reply->Error("NOTBUSY No scripts in execution right now.");
}

void NoFunctions(CommandCall* call) {
  call->reply->Error(
      "ERR there are no functions here: SCRIPT LOAD a script, and call it by EVALSHA");
}

}  // namespace resp
}  // namespace kvarts
