#include "net/resp/scripts/sandbox.h"

#include <stdlib.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <random>

extern "C" {
int luaopen_cjson(lua_State* lua);
int luaopen_bit(lua_State* lua);
}

namespace kvarts {
namespace resp {
namespace {

// Lua's matcher calls itself for each item of a pattern: a longer one could take the whole stack.
constexpr size_t kMaxPatternBytes = 4 << 10;
constexpr size_t kMaxRepeatedBytes = 512 << 20;

// Keys of the registry.
char globals_key;    // the table of the globals
char protected_key;  // the set of the empty tables in front
char random_key;     // the state of math.random()

void PushKept(lua_State* lua, char* key) {
  lua_pushlightuserdata(lua, key);
  lua_rawget(lua, LUA_REGISTRYINDEX);
}
// The value on top, which is taken.
void Keep(lua_State* lua, char* key) {
  lua_pushlightuserdata(lua, key);
  lua_insert(lua, -2);
  lua_rawset(lua, LUA_REGISTRYINDEX);
}

int RefuseWrite(lua_State* lua) { return luaL_error(lua, "Attempt to modify a readonly table"); }

int RefuseRead(lua_State* lua) {
  const char* const name = lua_tostring(lua, 2);
  return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'",
                    name == nullptr ? "?" : name);
}

// Replaces the table on top by an empty one in front of it.
void Protect(lua_State* lua) {
  lua_newtable(lua);           // table, front
  lua_createtable(lua, 0, 3);  // table, front, meta
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_pushcfunction(lua, RefuseWrite);
  lua_setfield(lua, -2, "__newindex");
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_setmetatable(lua, -2);
  lua_remove(lua, -2);
  PushKept(lua, &protected_key);
  lua_pushvalue(lua, -2);
  lua_pushboolean(lua, 1);
  lua_rawset(lua, -3);
  lua_pop(lua, 1);
}

// Calls the function it stands for, where what it is given may not take the stack or for ever.
int CheckPattern(lua_State* lua) {
  if (lua_objlen(lua, 2) > kMaxPatternBytes) return luaL_error(lua, "pattern too long");
  return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}
int CheckRepeat(lua_State* lua) {
  const size_t size = lua_objlen(lua, 1);
  const lua_Number times = luaL_checknumber(lua, 2);
  if (times < 1 || size == 0) {
    lua_pushliteral(lua, "");
    return 1;
  }
  if (times * static_cast<lua_Number>(size) > static_cast<lua_Number>(kMaxRepeatedBytes)) {
    return luaL_error(lua, "not enough memory");
  }
  return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}
// Code that was compiled elsewhere could do anything.
int LoadString(lua_State* lua) {
  size_t size = 0;
  const char* const text = luaL_checklstring(lua, 1, &size);
  const char* const name = luaL_optstring(lua, 2, text);
  if (size > 0 && text[0] == LUA_SIGNATURE[0]) {
    lua_pushnil(lua);
    lua_pushliteral(lua, "bytecode is not loaded");
    return 2;
  }
  if (luaL_loadbuffer(lua, text, size, name) == 0) return 1;
  lua_pushnil(lua);
  lua_insert(lua, -2);
  return 2;
}
// load(function): the pieces, put together.
int LoadPieces(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TFUNCTION);
  const char* const name = luaL_optstring(lua, 2, "=(load)");
  lua_pushliteral(lua, "");
  while (true) {
    lua_pushvalue(lua, 1);
    lua_call(lua, 0, 1);
    if (lua_isnil(lua, -1) || (lua_isstring(lua, -1) && lua_objlen(lua, -1) == 0)) break;
    if (!lua_isstring(lua, -1)) return luaL_error(lua, "reader function must return a string");
    lua_concat(lua, 2);
  }
  lua_pop(lua, 1);
  lua_pushstring(lua, name);
  lua_replace(lua, 2);
  lua_replace(lua, 1);
  lua_settop(lua, 2);
  return LoadString(lua);
}
int RawSet(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  luaL_checkany(lua, 2);
  luaL_checkany(lua, 3);
  lua_settop(lua, 3);
  PushKept(lua, &protected_key);
  lua_pushvalue(lua, 1);
  lua_rawget(lua, -2);
  if (!lua_isnil(lua, -1)) {
    lua_pushliteral(lua, "Attempt to modify a readonly table");
    return lua_error(lua);
  }
  lua_settop(lua, 3);
  lua_rawset(lua, 1);
  return 1;
}
// rawget() looks behind the front.
int RawGet(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  luaL_checkany(lua, 2);
  lua_settop(lua, 2);
  if (lua_getmetatable(lua, 1) != 0) {
    PushKept(lua, &protected_key);
    lua_pushvalue(lua, 1);
    lua_rawget(lua, -2);
    const bool is_front = !lua_isnil(lua, -1);
    lua_pop(lua, 2);
    if (is_front) {
      lua_pushliteral(lua, "__index");
      lua_rawget(lua, -2);
      lua_replace(lua, 1);
    }
    lua_settop(lua, 2);
  }
  lua_rawget(lua, 1);
  return 1;
}
// Of the garbage collector a script may ask and have it run; it cannot stop it.
int CollectGarbage(lua_State* lua) {
  const char* const what = luaL_optstring(lua, 1, "collect");
  if (std::strcmp(what, "count") == 0) {
    lua_pushnumber(lua, lua_gc(lua, LUA_GCCOUNT, 0) + lua_gc(lua, LUA_GCCOUNTB, 0) / 1024.0);
  } else {
    if (std::strcmp(what, "collect") == 0) lua_gc(lua, LUA_GCCOLLECT, 0);
    lua_pushinteger(lua, 0);
  }
  return 1;
}

drand48_data* RandomState(lua_State* lua) {
  PushKept(lua, &random_key);
  auto* const state = static_cast<drand48_data*>(lua_touserdata(lua, -1));
  lua_pop(lua, 1);
  return state;
}
int Random(lua_State* lua) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  // NOLINTNEXTLINE(google-runtime-int): what lrand48_r() takes
  long number = 0;
  lrand48_r(RandomState(lua), &number);
  const lua_Number fraction = static_cast<lua_Number>(number % kMost) / kMost;
  const int given = lua_gettop(lua);
  if (given > 2) return luaL_error(lua, "wrong number of arguments");
  if (given == 0) {
    lua_pushnumber(lua, fraction);
    return 1;
  }
  const lua_Integer low = given == 1 ? 1 : luaL_checkinteger(lua, 1);
  const lua_Integer high = luaL_checkinteger(lua, given);
  luaL_argcheck(lua, low <= high, given, "interval is empty");
  const lua_Number width = static_cast<lua_Number>(high) - static_cast<lua_Number>(low) + 1;
  lua_pushnumber(lua, std::floor(fraction * width) + static_cast<lua_Number>(low));
  return 1;
}
int RandomSeed(lua_State* lua) {
  srand48_r(static_cast<int>(luaL_checkinteger(lua, 1)), RandomState(lua));
  return 0;
}

void Open(lua_State* lua, const char* name, lua_CFunction open) {
  lua_pushcfunction(lua, open);
  lua_pushstring(lua, name);
  lua_call(lua, 1, 1);
  if (*name != '\0') {
    lua_setglobal(lua, name);
  } else {
    lua_pop(lua, 1);
  }
}

// Has `function` called in the place of a field of the table on top, and given the old one.
void Guard(lua_State* lua, const char* name, lua_CFunction function) {
  lua_getfield(lua, -1, name);
  lua_pushcclosure(lua, function, 1);
  lua_setfield(lua, -2, name);
}
void Replace(lua_State* lua, const char* name, lua_CFunction function) {
  lua_pushcfunction(lua, function);
  lua_setfield(lua, -2, name);
}
void Remove(lua_State* lua, const char* name) {
  lua_pushnil(lua);
  lua_setfield(lua, -2, name);
}

// The string library is on top.
void GuardStrings(lua_State* lua) {
  for (const char* name : {"find", "match", "gmatch", "gfind", "gsub"}) {
    Guard(lua, name, CheckPattern);
  }
  Guard(lua, "rep", CheckRepeat);
  Remove(lua, "dump");
  // Of all strings: "x":upper().
  lua_pushliteral(lua, "");
  lua_getmetatable(lua, -1);
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_pop(lua, 2);
}

// The globals are on top.
void GuardBase(lua_State* lua) {
  for (const char* name : {"dofile", "loadfile", "print", "getfenv", "setfenv", "newproxy",
                           "module", "require", "package"}) {
    Remove(lua, name);
  }
  Replace(lua, "loadstring", LoadString);
  Replace(lua, "load", LoadPieces);
  Replace(lua, "rawset", RawSet);
  Replace(lua, "rawget", RawGet);
  Replace(lua, "collectgarbage", CollectGarbage);
}

void ProtectGlobal(lua_State* lua, const char* name) {
  lua_getfield(lua, -1, name);
  Protect(lua);
  lua_setfield(lua, -2, name);
}

}  // namespace

void MakeSandbox(lua_State* lua) {
  lua_newtable(lua);
  Keep(lua, &protected_key);
  lua_newuserdata(lua, sizeof(drand48_data));
  Keep(lua, &random_key);
  srand48_r(std::random_device()(), RandomState(lua));
  Open(lua, "", luaopen_base);
  Open(lua, LUA_TABLIBNAME, luaopen_table);
  Open(lua, LUA_STRLIBNAME, luaopen_string);
  Open(lua, LUA_MATHLIBNAME, luaopen_math);
  Open(lua, "cjson", luaopen_cjson);
  Open(lua, "bit", luaopen_bit);
  lua_setglobal(lua, "redis");

  lua_getglobal(lua, LUA_STRLIBNAME);
  GuardStrings(lua);
  lua_pop(lua, 1);
  lua_getglobal(lua, LUA_MATHLIBNAME);
  Replace(lua, "random", Random);
  Replace(lua, "randomseed", RandomSeed);
  lua_pop(lua, 1);

  lua_pushvalue(lua, LUA_GLOBALSINDEX);
  GuardBase(lua);
  for (const char* name : {"table", "string", "math", "coroutine", "cjson", "bit", "redis"}) {
    ProtectGlobal(lua, name);
  }
  lua_pushvalue(lua, -1);
  Keep(lua, &globals_key);
  lua_createtable(lua, 0, 1);
  lua_pushcfunction(lua, RefuseRead);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
  lua_pushvalue(lua, -1);
  Protect(lua);  // globals, front
  lua_pushvalue(lua, -1);
  lua_setfield(lua, -3, "_G");
  lua_replace(lua, LUA_GLOBALSINDEX);
  lua_pop(lua, 1);
}

void SetScriptGlobal(lua_State* lua, const char* name) {
  PushKept(lua, &globals_key);
  lua_insert(lua, -2);
  lua_setfield(lua, -2, name);
  lua_pop(lua, 1);
}

bool IsUntouched(lua_State* lua) {
  bool untouched = true;
  PushKept(lua, &protected_key);
  for (lua_pushnil(lua); lua_next(lua, -2) != 0;) {
    lua_pop(lua, 1);  // a front is the key
    lua_pushnil(lua);
    if (lua_next(lua, -2) != 0) {
      untouched = false;
      lua_pop(lua, 2);
    }
  }
  lua_pop(lua, 1);
  return untouched;
}

}  // namespace resp
}  // namespace kvarts
