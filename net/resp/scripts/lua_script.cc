#include "net/resp/scripts/lua_script.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <lua5.1/lua.hpp>
#include <new>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "net/output.h"
#include "net/resp/scripts/lua_values.h"
#include "net/resp/scripts/sandbox.h"

// Lua here is Debian's that was compiled as C++: its errors are exceptions, so that what a
// function of ours holds is let go where one passes it.
namespace kvarts {
namespace resp {
namespace {

constexpr int kHookEvery = 10000;  // instructions
constexpr int kBriefHooks = 10;    // of a brief run: about a millisecond
constexpr int kBriefCalls = 1000;  // commands of a brief run
constexpr size_t kMaxSpare = 16;
constexpr size_t kMaxFunctions = 500;  // that a state keeps compiled
constexpr size_t kMaxKeptBytes = 1 << 20;
constexpr char kChunkName[] = "@user_script";

class LuaScriptsImpl;

// What Lua holds.
struct Memory {
  size_t used = 0;
  size_t most = 0;
  LuaScriptsImpl* scripts = nullptr;
};

void* Allocate(void* memory_of_state, void* block, size_t old_size, size_t new_size) {
  auto* const memory = static_cast<Memory*>(memory_of_state);
  if (block == nullptr) old_size = 0;
  if (new_size > old_size && memory->used + (new_size - old_size) > memory->most) return nullptr;
  void* moved = nullptr;
  if (new_size == 0) {
    std::free(block);
  } else {
    moved = std::realloc(block, new_size);
    if (moved == nullptr) return nullptr;
  }
  memory->used = memory->used - old_size + new_size;
  return moved;
}

// One run.
struct Run {
  Run(const Script& s, const ScriptLimits& l, ScriptHost* h, ReplyWriter* r)
      : script(s), limits(l), host(h), reply(r) {}

  const Script& script;
  const ScriptLimits& limits;
  ScriptHost* const host;
  ReplyWriter* const reply;
  absl::Span<const absl::string_view> keys;
  absl::Span<const absl::string_view> args;
  ScriptEnd end = ScriptEnd::kNone;
  int protocol = 2;  // that the script asked for
  int hooks = 0;
  int calls = 0;
  bool is_listed = false;  // in the running scripts
  std::atomic<bool> killed{false};
};

class LuaScriptsImpl final : public LuaScripts {
 public:
  LuaScriptsImpl(size_t max_bytes, RunningScripts* running) : running_(running) {
    memory_.most = max_bytes;
    memory_.scripts = this;
  }
  ~LuaScriptsImpl() override {
    if (lua_ != nullptr) lua_close(lua_);
  }

  bool Open() {
    lua_ = lua_newstate(Allocate, &memory_);
    return lua_ != nullptr && lua_cpcall(lua_, DoOpen, nullptr) == 0;
  }

  std::string Compile(const Script& script) override {
    if (functions_.count(script.sha) > 0) return "";
    script_ = &script;
    const int status = lua_cpcall(lua_, DoCompile, this);
    script_ = nullptr;
    if (status == 0) return "";
    const char* const why = lua_tostring(lua_, -1);
    std::string error =
        absl::StrCat("ERR Error compiling script (new function): ", why == nullptr ? "" : why);
    lua_pop(lua_, 1);
    return error;
  }

  ScriptEnd Run(const Script& script, absl::Span<const absl::string_view> keys,
                absl::Span<const absl::string_view> args, const ScriptLimits& limits,
                ScriptHost* host, ReplyWriter* reply) override {
    struct Run run(script, limits, host, reply);
    run.keys = keys;
    run.args = args;
    run_ = &run;
    lua_sethook(lua_, Hook, LUA_MASKCOUNT, kHookEvery);
    const int status = lua_cpcall(lua_, DoRun, this);
    lua_sethook(lua_, nullptr, 0, 0);
    if (run.is_listed) running_->Remove(&run.killed);
    run_ = nullptr;
    if (status != 0 && run.end == ScriptEnd::kNone) run.end = ScriptEnd::kMemory;
    lua_settop(lua_, 0);
    return run.end;
  }

  bool is_clean() override {
    if (functions_.size() > kMaxFunctions || !IsUntouched(lua_)) return false;
    if (memory_.used > kMaxKeptBytes) lua_gc(lua_, LUA_GCCOLLECT, 0);
    return memory_.used <= kMaxKeptBytes;
  }

 private:
  static LuaScriptsImpl* Of(lua_State* lua) {
    void* memory = nullptr;
    lua_getallocf(lua, &memory);
    return static_cast<Memory*>(memory)->scripts;
  }

  static int DoOpen(lua_State* lua);

  static int DoCompile(lua_State* lua) {
    auto* const self = static_cast<LuaScriptsImpl*>(lua_touserdata(lua, 1));
    const std::string& source = self->script_->source;
    // Code that was compiled elsewhere could do anything.
    if (!source.empty() && source[0] == LUA_SIGNATURE[0]) {
      return luaL_error(lua, "bytecode is not loaded");
    }
    if (luaL_loadbuffer(lua, source.data(), source.size(), kChunkName) != 0) return lua_error(lua);
    self->functions_.emplace(self->script_->sha, luaL_ref(lua, LUA_REGISTRYINDEX));
    return 0;
  }

  static int DoRun(lua_State* lua) {
    static_cast<LuaScriptsImpl*>(lua_touserdata(lua, 1))->RunProtected();
    return 0;
  }

  void PushList(absl::Span<const absl::string_view> words) {
    lua_createtable(lua_, static_cast<int>(words.size()), 0);
    for (size_t i = 0; i < words.size(); ++i) {
      lua_pushlstring(lua_, words[i].data(), words[i].size());
      lua_rawseti(lua_, -2, static_cast<int>(i) + 1);
    }
  }

  void RunProtected() {
    PushList(run_->keys);
    SetScriptGlobal(lua_, "KEYS");
    PushList(run_->args);
    SetScriptGlobal(lua_, "ARGV");
    lua_pushcfunction(lua_, LocateError);
    lua_rawgeti(lua_, LUA_REGISTRYINDEX, functions_.at(run_->script.sha));
    const int status = lua_pcall(lua_, 0, 1, -2);
    if (run_->end != ScriptEnd::kNone) return;
    if (status == LUA_ERRMEM) {
      run_->end = ScriptEnd::kMemory;
    } else if (status != 0) {
      AnswerError();
    } else if (!AnswerValue(lua_, run_->protocol,
                            run_->reply->output()->size() + run_->limits.max_answer_bytes,
                            run_->reply)) {
      run_->end = ScriptEnd::kAnswer;
    }
    // Nothing of this run is kept for the next.
    lua_pushnil(lua_);
    SetScriptGlobal(lua_, "KEYS");
    lua_pushnil(lua_);
    SetScriptGlobal(lua_, "ARGV");
  }

  // The error on top, as LocateError() left it.
  void AnswerError() {
    std::string text = "ERR unknown error";
    if (lua_istable(lua_, -1)) {
      const std::string message = Field("err");
      const std::string source = Field("source");
      const std::string line = Field("line");
      if (!message.empty()) text = message;
      if (!source.empty() && !line.empty()) {
        absl::StrAppend(&text, " script: ", run_->script.sha, ", on ", source, ":", line, ".");
      }
    }
    run_->reply->Error(text);
  }
  // Of the table on top; empty where it is no string.
  std::string Field(const char* name) {
    lua_pushstring(lua_, name);
    lua_rawget(lua_, -2);
    const char* const text = lua_tostring(lua_, -1);
    std::string field = text == nullptr ? "" : text;
    lua_pop(lua_, 1);
    return field;
  }

  // Any error becomes {err=..., source=..., line=...}, told of the function that raised it.
  static int LocateError(lua_State* lua) {
    lua_settop(lua, 1);
    if (!lua_istable(lua, 1)) {
      const char* const text = lua_isstring(lua, 1) ? lua_tostring(lua, 1) : luaL_typename(lua, 1);
      lua_pushfstring(lua, "ERR %s", text);
      lua_createtable(lua, 0, 3);
      lua_insert(lua, -2);
      lua_setfield(lua, -2, "err");
    }
    lua_Debug place;
    bool is_known = lua_getstack(lua, 1, &place) != 0 && lua_getinfo(lua, "Sl", &place) != 0;
    if (is_known && std::strcmp(place.what, "C") == 0) {
      is_known = lua_getstack(lua, 2, &place) != 0 && lua_getinfo(lua, "Sl", &place) != 0;
    }
    if (is_known) {
      lua_pushliteral(lua, "source");
      lua_pushstring(lua, place.source);
      lua_rawset(lua, -3);
      lua_pushliteral(lua, "line");
      lua_pushinteger(lua, place.currentline);
      lua_rawset(lua, -3);
    }
    return 1;
  }

  // Ends the run: an error that a pcall() of the script may catch, and is raised again.
  static int End(lua_State* lua, ScriptEnd end) {
    Of(lua)->run_->end = end;
    lua_sethook(lua, Hook, LUA_MASKCOUNT, 1);
    lua_pushliteral(lua, "the script was ended");
    return lua_error(lua);
  }

  static void Hook(lua_State* lua, lua_Debug*) {
    LuaScriptsImpl* const self = Of(lua);
    struct Run* const run = self->run_;
    if (run == nullptr) return;
    ++run->hooks;
    if (run->end != ScriptEnd::kNone) End(lua, run->end);
    if (run->limits.brief && run->hooks >= kBriefHooks) End(lua, ScriptEnd::kLong);
    if (!run->is_listed) {
      self->running_->Add(&run->killed);
      run->is_listed = true;
    }
    CheckTime(lua, *run);
  }
  static void CheckTime(lua_State* lua, const struct Run& run) {
    if (run.killed.load(std::memory_order_relaxed)) End(lua, ScriptEnd::kKilled);
    if (absl::Now() >= run.limits.deadline) End(lua, ScriptEnd::kTime);
  }

  static void PushError(lua_State* lua, absl::string_view text) {
    lua_createtable(lua, 0, 1);
    lua_pushlstring(lua, text.data(), text.size());
    lua_setfield(lua, -2, "err");
  }

  // Pushes the reply. True: it is an error.
  bool Ask(lua_State* lua) {
    const int given = lua_gettop(lua);
    if (given == 0) {
      PushError(lua, "ERR Please specify at least one argument for this redis lib call");
      return true;
    }
    words_.clear();
    numbers_.clear();
    numbers_.reserve(static_cast<size_t>(given));
    for (int i = 1; i <= given; ++i) {
      if (lua_type(lua, i) == LUA_TNUMBER) {
        char text[64];
        const int size = std::snprintf(text, sizeof text, "%.17g", lua_tonumber(lua, i));
        numbers_.emplace_back(text, static_cast<size_t>(size));
        words_.emplace_back(numbers_.back());
      } else if (lua_type(lua, i) == LUA_TSTRING) {
        size_t size = 0;
        const char* const text = lua_tolstring(lua, i, &size);
        words_.emplace_back(text, size);
      } else {
        PushError(lua, "ERR Lua redis lib command arguments must be strings or integers");
        return true;
      }
    }
    ++run_->calls;
    if (run_->limits.brief && run_->calls > kBriefCalls) End(lua, ScriptEnd::kLong);
    CheckTime(lua, *run_);
    return PushAnswer(lua);
  }

  bool PushAnswer(lua_State* lua) {
    output_.Clear();
    ReplyWriter writer;
    writer.set_output(&output_);
    writer.set_protocol(run_->protocol);
    run_->host->Call(words_, &writer);
    const absl::Span<const absl::string_view> pieces = output_.Pieces();
    if (pieces.size() == 1) return PushReply(lua, pieces[0]);
    std::string whole;
    whole.reserve(output_.size());
    for (const absl::string_view piece : pieces) absl::StrAppend(&whole, piece);
    return PushReply(lua, whole);
  }

  static int Call(lua_State* lua) { return Of(lua)->Ask(lua) ? lua_error(lua) : 1; }
  static int ProtectedCall(lua_State* lua) {
    Of(lua)->Ask(lua);
    return 1;
  }

  // pcall(): of an error that is {err=...} the text is returned. One that ends the run is raised
  // again by the hook.
  static int CatchError(lua_State* lua) {
    luaL_checkany(lua, 1);
    const int status = lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0);
    if (status != 0) {
      if (lua_istable(lua, -1)) {
        lua_getfield(lua, -1, "err");
        lua_isstring(lua, -1) != 0 ? lua_replace(lua, -2) : lua_pop(lua, 1);
      }
    }
    luaL_checkstack(lua, 1, nullptr);
    lua_pushboolean(lua, status == 0 ? 1 : 0);
    lua_insert(lua, 1);
    return lua_gettop(lua);
  }

  static int ErrorReply(lua_State* lua) {
    if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
      PushError(lua, "ERR wrong number or type of arguments");
      return 1;
    }
    absl::string_view text = lua_tostring(lua, 1);
    if (!text.empty() && text[0] == '-') text.remove_prefix(1);
    const bool has_code = text.find(' ') != absl::string_view::npos;
    PushError(lua, has_code ? std::string(text) : absl::StrCat("ERR ", text));
    return 1;
  }
  static int StatusReply(lua_State* lua) {
    if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
      PushError(lua, "ERR wrong number or type of arguments");
      return 1;
    }
    lua_createtable(lua, 0, 1);
    lua_pushvalue(lua, 1);
    lua_setfield(lua, -2, "ok");
    return 1;
  }
  static int Raise(lua_State* lua, const char* text) {
    PushError(lua, text);
    return lua_error(lua);
  }
  static int Sha1(lua_State* lua) {
    if (lua_gettop(lua) != 1) return Raise(lua, "ERR wrong number of arguments");
    size_t size = 0;
    const char* const text = lua_tolstring(lua, 1, &size);
    const std::string sha = Sha1Hex({text, size});
    lua_pushlstring(lua, sha.data(), sha.size());
    return 1;
  }
  // There is no log of a server's own that clients may write.
  static int Log(lua_State* lua) {
    if (lua_gettop(lua) < 2) {
      return Raise(lua, "ERR redis.log() requires two arguments or more.");
    }
    if (lua_isnumber(lua, 1) == 0) {
      return Raise(lua, "ERR First argument must be a number (log level).");
    }
    const lua_Number level = lua_tonumber(lua, 1);
    if (level < 0 || level > 3) return Raise(lua, "ERR Invalid debug level.");
    return 0;
  }
  static int SetResp(lua_State* lua) {
    if (lua_gettop(lua) != 1) return Raise(lua, "ERR redis.setresp() requires one argument.");
    const lua_Number version = lua_tonumber(lua, 1);
    if (version != 2 && version != 3) return Raise(lua, "ERR RESP version must be 2 or 3.");
    Of(lua)->run_->protocol = static_cast<int>(version);
    return 0;
  }
  static int True(lua_State* lua) {
    lua_pushboolean(lua, 1);
    return 1;
  }
  static int Nothing(lua_State*) { return 0; }

  RunningScripts* const running_;
  Memory memory_;
  lua_State* lua_ = nullptr;
  std::unordered_map<std::string, int> functions_;  // compiled: places in Lua's registry
  const Script* script_ = nullptr;                  // that is being compiled
  struct Run* run_ = nullptr;                       // that is under way
  // Of a call, reused.
  std::vector<absl::string_view> words_;
  std::vector<std::string> numbers_;
  Output output_;
};

int LuaScriptsImpl::DoOpen(lua_State* lua) {
  constexpr luaL_Reg kFunctions[] = {
      {"call", Call},
      {"pcall", ProtectedCall},
      {"error_reply", ErrorReply},
      {"status_reply", StatusReply},
      {"sha1hex", Sha1},
      {"log", Log},
      {"setresp", SetResp},
      {"replicate_commands", True},
      {"set_repl", Nothing},
  };
  lua_newtable(lua);
  for (const luaL_Reg& function : kFunctions) {
    lua_pushcfunction(lua, function.func);
    lua_setfield(lua, -2, function.name);
  }
  constexpr const char* kLevels[] = {"LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"};
  for (int i = 0; i < 4; ++i) {
    lua_pushinteger(lua, i);
    lua_setfield(lua, -2, kLevels[i]);
  }
  constexpr std::pair<const char*, int> kReplication[] = {
      {"REPL_NONE", 0}, {"REPL_AOF", 1}, {"REPL_SLAVE", 2}, {"REPL_REPLICA", 2}, {"REPL_ALL", 3}};
  for (const auto& [name, value] : kReplication) {
    lua_pushinteger(lua, value);
    lua_setfield(lua, -2, name);
  }
  MakeSandbox(lua);
  lua_pushcfunction(lua, CatchError);
  SetScriptGlobal(lua, "pcall");
  return 0;
}

}  // namespace

std::unique_ptr<LuaScripts> LuaScripts::New(size_t max_bytes, RunningScripts* running) {
  auto scripts = std::make_unique<LuaScriptsImpl>(max_bytes, running);
  if (!scripts->Open()) return nullptr;
  return scripts;
}

std::unique_ptr<LuaScripts> LuaPool::Take() {
  {
    MutexLock lock(&mu_);
    if (!spare_.empty()) {
      std::unique_ptr<LuaScripts> lua = std::move(spare_.back());
      spare_.pop_back();
      return lua;
    }
  }
  return LuaScripts::New(max_bytes_, &running_);
}

void LuaPool::GiveBack(std::unique_ptr<LuaScripts> lua) {
  if (!lua->is_clean()) return;
  MutexLock lock(&mu_);
  if (spare_.size() < kMaxSpare) spare_.push_back(std::move(lua));
}

}  // namespace resp
}  // namespace kvarts
