#include "net/resp/scripts/lua_script.h"

#include <lua5.1/lua.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/output.h"

namespace kvarts {
namespace resp {
namespace {

using testing::HasSubstr;

// Answers a command with what it was told.
class EchoHost final : public ScriptHost {
 public:
  void Call(absl::Span<const absl::string_view> args, ReplyWriter* reply) override {
    asked.push_back(absl::StrJoin(args, " "));
    if (args[0] == "RAW") {
      reply->output()->bytes().append(args[1].data(), args[1].size());
    } else {
      reply->Bulk(absl::StrJoin(args, " "));
    }
  }

  std::vector<std::string> asked;
};

std::string Bytecode(const char* text) {
  std::string code;
  lua_State* const lua = luaL_newstate();
  EXPECT_EQ(luaL_loadstring(lua, text), 0);
  lua_dump(
      lua,
      [](lua_State*, const void* bytes, size_t size, void* to) {
        static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), size);
        return 0;
      },
      &code);
  lua_close(lua);
  return code;
}

class LuaScriptTest : public testing::Test {
 protected:
  std::string Run(absl::string_view text, int protocol = 2) {
    if (lua_ == nullptr) lua_ = LuaScripts::New(kMaxBytes, &running_);
    const Script script = ParseScript(text).value();
    const std::string error = lua_->Compile(script);
    if (!error.empty()) return error;
    Output output;
    ReplyWriter reply;
    reply.set_output(&output);
    reply.set_protocol(protocol);
    ScriptLimits limits{absl::Now() + timeout_, 1 << 20, brief_};
    end_ = lua_->Run(script, {}, {}, limits, &host_, &reply);
    if (end_ != ScriptEnd::kNone) {
      lua_ = nullptr;
      return "ended";
    }
    return output.bytes();
  }

  static constexpr size_t kMaxBytes = 4 << 20;
  RunningScripts running_;
  EchoHost host_;
  absl::Duration timeout_ = absl::Minutes(10);
  bool brief_ = false;
  ScriptEnd end_ = ScriptEnd::kNone;
  std::unique_ptr<LuaScripts> lua_;
};

TEST_F(LuaScriptTest, ValuesAreAnswered) {
  EXPECT_EQ(Run("return 3.99"), ":3\r\n");
  EXPECT_EQ(Run("return -3.99"), ":-3\r\n");
  EXPECT_EQ(Run("return 0/0"), ":-9223372036854775808\r\n");
  EXPECT_EQ(Run("return {1, 'a', {true, false}, nil, 2}"),
            "*3\r\n:1\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n");
  EXPECT_EQ(Run("return {ok='fine'}"), "+fine\r\n");
  EXPECT_EQ(Run("return {err='X bad\\n'}"), "-X bad\r\n");
  EXPECT_EQ(Run("return"), "$-1\r\n");
  EXPECT_EQ(Run("redis.setresp(3) return {true, {double=1.5}, {map={a=1}}, {set={b=true}}}", 3),
            "*4\r\n#t\r\n,1.5\r\n%1\r\n$1\r\na\r\n:1\r\n~1\r\n$1\r\nb\r\n");
}

TEST_F(LuaScriptTest, RepliesAreValues) {
  EXPECT_EQ(Run("return redis.call('a', 1, 2.5, 'b')"), "$9\r\na 1 2.5 b\r\n");
  EXPECT_EQ(Run("return type(redis.call('RAW', '$-1\\r\\n'))"), "$7\r\nboolean\r\n");
  EXPECT_EQ(Run("return redis.call('RAW', '+OK\\r\\n').ok"), "$2\r\nOK\r\n");
  EXPECT_EQ(Run("return redis.call('RAW', '*2\\r\\n:1\\r\\n$1\\r\\nx\\r\\n')[2]"), "$1\r\nx\r\n");
  EXPECT_EQ(Run("return redis.call('RAW', '%1\\r\\n+a\\r\\n:7\\r\\n').map"), "*0\r\n");
  EXPECT_EQ(Run("return redis.pcall('RAW', '-X bad\\r\\n').err"), "$5\r\nX bad\r\n");
  EXPECT_EQ(Run("local ok, why = pcall(redis.call, 'RAW', '-X bad\\r\\n') return why"),
            "$5\r\nX bad\r\n");
  EXPECT_THAT(Run("redis.call('RAW', '-X bad\\r\\n')"),
              testing::MatchesRegex("-X bad script: [0-9a-f]{40}, on @user_script:1.\r\n"));
}

TEST_F(LuaScriptTest, NothingBeyondTheSandboxIsThere) {
  for (const char* name : {"io", "os", "require", "package", "module", "debug", "dofile",
                           "loadfile", "print", "getfenv", "setfenv", "newproxy", "nosuch"}) {
    EXPECT_THAT(Run(absl::StrCat("return ", name)),
                HasSubstr(absl::StrCat("user_script:1: Script attempted to access nonexistent "
                                       "global variable '",
                                       name, "'")));
  }
  EXPECT_EQ(Run("return string.dump"), "$-1\r\n");
  EXPECT_EQ(Run("return loadstring('return 7')()"), ":7\r\n");
  // Bytecode, though it is good.
  const std::string code = Bytecode("return 7");
  std::string escaped;
  for (const char c : code) absl::StrAppend(&escaped, "\\", static_cast<unsigned char>(c));
  EXPECT_EQ(Run(absl::StrCat("return type(loadstring('", escaped, "'))")), "$3\r\nnil\r\n");
  EXPECT_EQ(Run(absl::StrCat("local first = true return type(load(function() if first then "
                             "first = false return '",
                             escaped, "' end end))")),
            "$3\r\nnil\r\n");
  EXPECT_THAT(Run(code), HasSubstr("bytecode"));
}

TEST_F(LuaScriptTest, NothingIsLeftForTheNextScript) {
  for (const char* text :
       {"a = 1", "function f() end", "string.x = 1", "redis.call = 1", "KEYS = 1", "_G.x = 1",
        "rawset(_G, 'x', 1)", "rawset(string, 'x', 1)"}) {
    EXPECT_THAT(Run(text), HasSubstr("Attempt to modify a readonly table")) << text;
    EXPECT_TRUE(lua_->is_clean()) << text;
  }
  EXPECT_EQ(Run("return {getmetatable(''), getmetatable(_G), getmetatable(string)}"),
            "*3\r\n$-1\r\n$-1\r\n$-1\r\n");
  EXPECT_EQ(Run("return rawget(_G, 'redis') == redis"), ":1\r\n");
  // Past what is looked after: the state is not used again.
  EXPECT_EQ(Run("table.insert(string, 'x')"), "$-1\r\n");
  EXPECT_FALSE(lua_->is_clean());
}

// Those of redis-server, for the same seed; without one each state has its own.
TEST_F(LuaScriptTest, RandomNumbersFollowTheirSeed) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Run("math.randomseed(0) return math.random(1,100) .. ' ' .. math.random()"),
              "$19\r\n18 0.74990198051087\r\n");
  }
  const std::string one = Run("return math.random(1, 1e9)");
  lua_ = nullptr;
  EXPECT_NE(Run("return math.random(1, 1e9)"), one);
}

TEST_F(LuaScriptTest, LibrariesAreThere) {
  EXPECT_EQ(Run("return cjson.encode({1, 'a', {b = cjson.null}})"),
            "$18\r\n[1,\"a\",{\"b\":null}]\r\n");
  EXPECT_EQ(Run("return cjson.decode('[1,[2]]')"), "*2\r\n:1\r\n*1\r\n:2\r\n");
  EXPECT_THAT(Run("return cjson.decode('x')"), HasSubstr("user_script:1: Expected value"));
  EXPECT_EQ(Run("return bit.band(5, 3)"), ":1\r\n");
  EXPECT_EQ(Run("return redis.sha1hex('a')"),
            "$40\r\n86f7e437faa5a7fce15d1ddcb9eaeaea377667b8\r\n");
}

TEST_F(LuaScriptTest, AScriptThatTakesTooLongIsEnded) {
  timeout_ = absl::ZeroDuration();
  for (const char* text :
       {"while true do end", "while true do pcall(function() while true do end end) end",
        "while true do coroutine.wrap(function() while true do end end)() end",
        "while true do xpcall(function() while true do end end, function() return 1 end) end",
        "while true do redis.call('x') end"}) {
    EXPECT_EQ(Run(text), "ended") << text;
    EXPECT_EQ(end_, ScriptEnd::kTime) << text;
  }
}

TEST_F(LuaScriptTest, ABriefRunIsEndedSoon) {
  brief_ = true;
  EXPECT_EQ(Run("while true do end"), "ended");
  EXPECT_EQ(end_, ScriptEnd::kLong);
  EXPECT_EQ(Run("for i = 1, 2000 do redis.call('x') end"), "ended");
  EXPECT_EQ(end_, ScriptEnd::kLong);
  EXPECT_EQ(Run("for i = 1, 500 do redis.call('x') end return 1"), ":1\r\n");
}

TEST_F(LuaScriptTest, AScriptThatTakesTooMuchMemoryIsEnded) {
  for (const char* text :
       {"local t = {} for i = 1, 1e9 do t[i] = i end", "local s = 'x' while true do s = s .. s end",
        "return string.rep('x', 1e8)",
        "pcall(string.rep, 'x', 1e8) local t = {} for i = 1, 1e9 do t[i] = i end"}) {
    EXPECT_EQ(Run(text), "ended") << text;
    EXPECT_EQ(end_, ScriptEnd::kMemory) << text;
  }
}

TEST_F(LuaScriptTest, ALargeAnswerIsRefused) {
  EXPECT_EQ(Run("local t, s = {}, string.rep('x', 100000) for i = 1, 100 do t[i] = s end return t"),
            "ended");
  EXPECT_EQ(end_, ScriptEnd::kAnswer);
  EXPECT_EQ(Run("local t = {} t[1] = t return t"), "ended");
  EXPECT_EQ(end_, ScriptEnd::kAnswer);
}

// Lua's matcher would take the whole stack for these.
TEST_F(LuaScriptTest, LongPatternsAreRefused) {
  EXPECT_THAT(Run("return string.find(string.rep('a', 300000), string.rep('a?', 300000))"),
              HasSubstr("pattern too long"));
  EXPECT_THAT(Run("return ('x'):gsub(string.rep('(', 300000), '')"), HasSubstr("pattern too long"));
}

TEST_F(LuaScriptTest, ARunningScriptIsKilled) {
  EXPECT_FALSE(running_.Kill());
  std::thread killer([&] {
    while (!running_.Kill()) std::this_thread::yield();
  });
  EXPECT_EQ(Run("while true do pcall(function() while true do end end) end"), "ended");
  killer.join();
  EXPECT_EQ(end_, ScriptEnd::kKilled);
  EXPECT_FALSE(running_.Kill());
}

TEST_F(LuaScriptTest, TheFirstLineHasFlags) {
  EXPECT_TRUE(ParseScript("#!lua flags=no-writes\nreturn 1")->no_writes);
  EXPECT_EQ(Run("#!lua\nreturn 5"), ":5\r\n");
  EXPECT_THAT(Run("#!lua\nreturn x"), HasSubstr("on @user_script:2."));
  EXPECT_EQ(ParseScript("#!lua flags=foo\nreturn 5").status().message(),
            "ERR Unexpected flag in script shebang: foo");
  EXPECT_EQ(ParseScript("#!bar\nreturn 5").status().message(),
            "ERR Unexpected engine in script shebang: #!bar");
  EXPECT_EQ(ParseScript("#!lua name=x\nreturn 5").status().message(),
            "ERR Unknown lua shebang option: name=x");
  EXPECT_EQ(ParseScript("#!lua").status().message(), "ERR Invalid script shebang");
}

TEST(ScriptCacheTest, TheFirstIsForgottenFirst) {
  ScriptCache cache;
  for (int i = 0; i < 10001; ++i) {
    cache.Add(std::make_shared<Script>(ParseScript(absl::StrCat("return ", i)).value()));
  }
  EXPECT_EQ(cache.Find(Sha1Hex("return 0")), nullptr);
  ASSERT_NE(cache.Find(Sha1Hex("return 1")), nullptr);
  EXPECT_EQ(cache.Find(Sha1Hex("return 10000"))->source, "return 10000");
  cache.Clear();
  EXPECT_EQ(cache.Find(Sha1Hex("return 1")), nullptr);
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
