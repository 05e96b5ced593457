#ifndef KVARTS_NET_RESP_SCRIPTS_LUA_VALUES_H_
#define KVARTS_NET_RESP_SCRIPTS_LUA_VALUES_H_

#include <lua5.1/lua.hpp>

#include "absl/strings/string_view.h"
#include "net/resp/reply.h"

// Between replies and Lua's values, as Redis converts them.
namespace kvarts {
namespace resp {

// Pushes a reply as a value: an integer is a number, a bulk string a string, an array a table; a
// status {ok=...}, an error {err=...}, null false (of RESP3: nil), and of RESP3 {map=...},
// {set=...}, {double=...}, {big_number=...}, {verbatim_string=...}. True: it is an error.
// `reply` is a whole one. May throw what Lua throws.
bool PushReply(lua_State* lua, absl::string_view reply);

// Answers the value on top of the stack: a number is an integer, cut towards zero; true is 1 and
// false is null, but for a script that asked for RESP3; a table ends at its first nil. False:
// `output` would have `room` bytes, or tables lie in each other too deep; part of it is written.
bool AnswerValue(lua_State* lua, int script_protocol, size_t room, ReplyWriter* reply);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_SCRIPTS_LUA_VALUES_H_
