#ifndef KVARTS_NET_RESP_SCRIPTS_SANDBOX_H_
#define KVARTS_NET_RESP_SCRIPTS_SANDBOX_H_

#include <lua5.1/lua.hpp>

namespace kvarts {
namespace resp {

// Makes a new state fit for scripts: opens the libraries, takes away what a script must not have,
// and puts in front of the globals and of each library an empty table that cannot be written.
//
//   a script's globals: {} ──__index──▶ the globals ──__index──▶ an error
//                          ──__newindex──▶ an error
//   a library:          {} ──__index──▶ its functions
//
// `redis` is a table of functions on top of the stack, which is taken. May throw what Lua throws.
void MakeSandbox(lua_State* lua);

// Sets a global of the scripts (KEYS, ARGV) to the value on top of the stack, which is taken.
void SetScriptGlobal(lua_State* lua, const char* name);

// Whether the empty tables still are: what a script put there, others would see.
bool IsUntouched(lua_State* lua);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_SCRIPTS_SANDBOX_H_
