#include "net/resp/scripts/lua_values.h"

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace resp {
namespace {

// Tables in tables that an answer may have.
constexpr int kMaxDepth = 1000;

void Push(lua_State* lua, absl::string_view text) {
  lua_pushlstring(lua, text.data(), text.size());
}

// {name = the value on top}
void Wrap(lua_State* lua, const char* name) {
  lua_createtable(lua, 0, 1);
  lua_insert(lua, -2);
  lua_setfield(lua, -2, name);
}

// Takes whole replies from their beginning.
class Reader {
 public:
  Reader(lua_State* lua, absl::string_view bytes) : lua_(lua), bytes_(bytes) {}

  void PushNext() {
    luaL_checkstack(lua_, 8, "a reply has too many levels");
    const char type = bytes_[0];
    const absl::string_view line = TakeLine();
    switch (type) {
      case '+':
        Push(lua_, line);
        return Wrap(lua_, "ok");
      case '-':
        Push(lua_, line);
        return Wrap(lua_, "err");
      case ':':
        return lua_pushnumber(lua_, static_cast<lua_Number>(Number(line)));
      case '$':
        return line == "-1" ? lua_pushboolean(lua_, 0) : Push(lua_, TakeBytes(line));
      case '*':
        return line == "-1" ? lua_pushboolean(lua_, 0) : PushArray(Number(line));
      default:
        return PushOfRespThree(type, line);
    }
  }

 private:
  void PushOfRespThree(char type, absl::string_view line) {
    switch (type) {
      case '%':
        PushMap(Number(line));
        return Wrap(lua_, "map");
      case '~':
        PushSet(Number(line));
        return Wrap(lua_, "set");
      case '#':
        return lua_pushboolean(lua_, line == "t" ? 1 : 0);
      case ',': {
        double value = 0;
        (void)absl::SimpleAtod(line, &value);  // also of "inf" and "nan"
        lua_pushnumber(lua_, value);
        return Wrap(lua_, "double");
      }
      case '(':
        Push(lua_, line);
        return Wrap(lua_, "big_number");
      case '=': {
        const absl::string_view text = TakeBytes(line);
        lua_createtable(lua_, 0, 2);
        Push(lua_, text.substr(4));
        lua_setfield(lua_, -2, "string");
        Push(lua_, text.substr(0, 3));
        lua_setfield(lua_, -2, "format");
        return Wrap(lua_, "verbatim_string");
      }
      default:
        return lua_pushnil(lua_);
    }
  }

  void PushArray(int64_t size) {
    lua_createtable(lua_, static_cast<int>(size), 0);
    for (int i = 1; i <= size; ++i) {
      PushNext();
      lua_rawseti(lua_, -2, i);
    }
  }
  void PushMap(int64_t pairs) {
    lua_newtable(lua_);
    for (int64_t i = 0; i < pairs; ++i) {
      PushNext();
      PushNext();
      lua_rawset(lua_, -3);
    }
  }
  void PushSet(int64_t size) {
    lua_newtable(lua_);
    for (int64_t i = 0; i < size; ++i) {
      PushNext();
      lua_pushboolean(lua_, 1);
      lua_rawset(lua_, -3);
    }
  }

  static int64_t Number(absl::string_view text) {
    int64_t value = 0;
    (void)absl::SimpleAtoi(text, &value);  // a server's own
    return value;
  }
  // Behind the type.
  absl::string_view TakeLine() {
    const size_t end = bytes_.find("\r\n");
    const absl::string_view line = bytes_.substr(1, end - 1);
    bytes_.remove_prefix(end + 2);
    return line;
  }
  absl::string_view TakeBytes(absl::string_view size) {
    const auto n = static_cast<size_t>(Number(size));
    const absl::string_view bytes = bytes_.substr(0, n);
    bytes_.remove_prefix(n + 2);
    return bytes;
  }

  lua_State* const lua_;
  absl::string_view bytes_;
};

class Answerer {
 public:
  Answerer(lua_State* lua, int script_protocol, size_t room, ReplyWriter* reply)
      : lua_(lua), script_protocol_(script_protocol), room_(room), reply_(reply) {}

  // The value on top, which stays.
  bool Answer(int depth) {
    if (depth > kMaxDepth || reply_->output()->size() > room_) return false;
    luaL_checkstack(lua_, 8, "an answer has too many levels");
    switch (lua_type(lua_, -1)) {
      case LUA_TSTRING:
        reply_->Bulk(Text());
        return reply_->output()->size() <= room_;
      case LUA_TNUMBER:
        reply_->Integer(Integer(lua_tonumber(lua_, -1)));
        return true;
      case LUA_TBOOLEAN:
        AnswerBoolean(lua_toboolean(lua_, -1) != 0);
        return true;
      case LUA_TTABLE:
        return AnswerTable(depth);
      default:
        reply_->Null();
        return true;
    }
  }

 private:
  absl::string_view Text() {
    size_t size = 0;
    const char* const text = lua_tolstring(lua_, -1, &size);
    return {text, size};
  }

  // Towards zero; what does not fit is the least, as on the machines that Redis runs on.
  static int64_t Integer(lua_Number number) {
    constexpr lua_Number kLimit = 9223372036854775808.0;
    if (!(number >= -kLimit && number < kLimit)) return std::numeric_limits<int64_t>::min();
    return static_cast<int64_t>(number);
  }

  void Append(absl::string_view bytes) {
    reply_->output()->bytes().append(bytes.data(), bytes.size());
  }

  void AnswerBoolean(bool value) {
    if (script_protocol_ == 2) {
      value ? reply_->Integer(1) : reply_->Null();
    } else if (reply_->protocol() == 2) {
      reply_->Integer(value ? 1 : 0);
    } else {
      Append(value ? "#t\r\n" : "#f\r\n");
    }
  }

  // Whether the table on top has a field of that type, which is then pushed.
  bool PushField(const char* name, int type) {
    lua_pushstring(lua_, name);
    lua_rawget(lua_, -2);
    if (lua_type(lua_, -1) == type) return true;
    lua_pop(lua_, 1);
    return false;
  }

  static std::string OneLine(absl::string_view text) {
    std::string line(text.substr(0, text.find('\0')));
    for (char& c : line) c = c == '\r' || c == '\n' ? ' ' : c;
    return line;
  }

  bool AnswerTable(int depth) {
    bool goes_on = true;
    if (PushField("err", LUA_TSTRING)) {
      reply_->Error(Text().substr(0, Text().find('\0')));
    } else if (PushField("ok", LUA_TSTRING)) {
      reply_->Simple(OneLine(Text()));
    } else if (PushField("double", LUA_TNUMBER)) {
      reply_->Double(lua_tonumber(lua_, -1));
    } else if (PushField("big_number", LUA_TSTRING)) {
      AnswerBigNumber(OneLine(Text()));
    } else if (PushField("verbatim_string", LUA_TTABLE)) {
      goes_on = AnswerVerbatim();
    } else if (PushField("map", LUA_TTABLE)) {
      goes_on = AnswerPairs(depth, /*with_values=*/true);
    } else if (PushField("set", LUA_TTABLE)) {
      goes_on = AnswerPairs(depth, /*with_values=*/false);
    } else {
      return AnswerArray(depth);
    }
    lua_pop(lua_, 1);
    return goes_on;
  }

  void AnswerBigNumber(absl::string_view digits) {
    reply_->protocol() == 2 ? reply_->Bulk(digits) : Append(absl::StrCat("(", digits, "\r\n"));
  }

  bool AnswerVerbatim() {
    std::string format = "txt";
    if (PushField("format", LUA_TSTRING)) {
      format = std::string(Text().substr(0, 3));
      format.resize(3, ' ');
      lua_pop(lua_, 1);
    }
    if (!PushField("string", LUA_TSTRING)) {
      reply_->Array(0);
      return true;
    }
    const absl::string_view text = Text();
    if (reply_->protocol() == 2) {
      reply_->Bulk(text);
    } else {
      Append(absl::StrCat("=", text.size() + 4, "\r\n", format, ":", text, "\r\n"));
    }
    lua_pop(lua_, 1);
    return reply_->output()->size() <= room_;
  }

  bool AnswerArray(int depth) {
    size_t size = 0;
    for (lua_rawgeti(lua_, -1, 1); !lua_isnil(lua_, -1);
         lua_rawgeti(lua_, -1, static_cast<int>(size) + 1)) {
      lua_pop(lua_, 1);
      ++size;
    }
    lua_pop(lua_, 1);
    reply_->Array(size);
    for (size_t i = 1; i <= size; ++i) {
      lua_rawgeti(lua_, -1, static_cast<int>(i));
      if (!Answer(depth + 1)) return false;
      lua_pop(lua_, 1);
    }
    return true;
  }

  bool AnswerPairs(int depth, bool with_values) {
    size_t size = 0;
    for (lua_pushnil(lua_); lua_next(lua_, -2) != 0; lua_pop(lua_, 1)) ++size;
    with_values ? reply_->Map(size) : reply_->Set(size);
    for (lua_pushnil(lua_); lua_next(lua_, -2) != 0; lua_pop(lua_, 1)) {
      lua_pushvalue(lua_, -2);
      if (!Answer(depth + 1)) return false;
      lua_pop(lua_, 1);
      if (with_values && !Answer(depth + 1)) return false;
    }
    return true;
  }

  lua_State* const lua_;
  const int script_protocol_;
  const size_t room_;
  ReplyWriter* const reply_;
};

}  // namespace

bool PushReply(lua_State* lua, absl::string_view reply) {
  Reader(lua, reply).PushNext();
  return reply[0] == '-';
}

bool AnswerValue(lua_State* lua, int script_protocol, size_t room, ReplyWriter* reply) {
  return Answerer(lua, script_protocol, room, reply).Answer(0);
}

}  // namespace resp
}  // namespace kvarts
