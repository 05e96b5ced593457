// CLIENT: what is known of connections.

#include <cstdint>
#include <limits>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/resp/client_names.h"
#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kMaxListed = 1000;

// The kinds of clients other servers have; here all are the first.
bool IsNormal(absl::string_view type) { return absl::EqualsIgnoreCase(type, "normal"); }
bool IsType(absl::string_view type) {
  for (const absl::string_view known : {"normal", "slave", "replica", "pubsub", "master"}) {
    if (absl::EqualsIgnoreCase(type, known)) return true;
  }
  return false;
}
std::string UnknownType(absl::string_view type) {
  return absl::StrCat("ERR Unknown client type '", Shown(type), "'");
}

}  // namespace

void ClientGetName(CommandCall* call) {
  const std::string name = call->connection->client->name();
  name.empty() ? call->reply->Null() : call->reply->Bulk(name);
}

void ClientId(CommandCall* call) {
  call->reply->Integer(static_cast<int64_t>(call->connection->client->id()));
}

void ClientInfo(CommandCall* call) {
  call->reply->Verbatim(
      absl::StrCat(call->connection->client->Line(call->state->options.clock->Now()), "\n"));
}

// CLIENT KILL address, or CLIENT KILL [ID id|TYPE type|USER name|ADDR address|
// LADDR address|SKIPME yes|no ...]
void ClientKill(CommandCall* call) {
  const auto args = call->args;
  ReplyWriter* const reply = call->reply;
  ClientFilter filter;
  const uint64_t own = call->connection->client->id();
  const bool old_form = args.size() == 3;
  if (old_form) {
    filter.address = std::string(args[2]);
  } else {
    filter.but = own;
  }
  for (size_t i = 2; i < args.size() && !old_form; i += 2) {
    if (i + 1 == args.size()) return reply->Error(kSyntaxError);
    const absl::string_view value = args[i + 1];
    if (absl::EqualsIgnoreCase(args[i], "ID")) {
      int64_t id = 0;
      if (!ParseInteger(value, &id) || id < 1) {
        return reply->Error("ERR client-id should be greater than 0");
      }
      filter.id = static_cast<uint64_t>(id);
    } else if (absl::EqualsIgnoreCase(args[i], "TYPE")) {
      if (!IsType(value)) return reply->Error(UnknownType(value));
      filter.none = filter.none || !IsNormal(value);
    } else if (absl::EqualsIgnoreCase(args[i], "USER")) {
      if (value != "default") {
        return reply->Error(absl::StrCat("ERR No such user '", Shown(value), "'"));
      }
    } else if (absl::EqualsIgnoreCase(args[i], "ADDR")) {
      filter.address = std::string(value);
    } else if (absl::EqualsIgnoreCase(args[i], "LADDR")) {
      filter.local_address = std::string(value);
    } else if (absl::EqualsIgnoreCase(args[i], "SKIPME") && absl::EqualsIgnoreCase(value, "yes")) {
      filter.but = own;
    } else if (absl::EqualsIgnoreCase(args[i], "SKIPME") && absl::EqualsIgnoreCase(value, "no")) {
      filter.but = 0;
    } else {
      return reply->Error(kSyntaxError);
    }
  }
  bool ends_itself = false;
  const size_t killed = call->state->clients.Kill(filter, own, &ends_itself);
  call->end = ends_itself;
  if (!old_form) return reply->Integer(static_cast<int64_t>(killed));
  killed == 0 ? reply->Error("ERR No such client") : reply->Ok();
}

// CLIENT LIST [TYPE type|ID id [id ...]]
void ClientList(CommandCall* call) {
  const auto args = call->args;
  ClientFilter filter;
  std::set<uint64_t> ids;
  if (args.size() == 4 && absl::EqualsIgnoreCase(args[2], "TYPE")) {
    if (!IsType(args[3])) return call->reply->Error(UnknownType(args[3]));
    filter.none = !IsNormal(args[3]);
  } else if (args.size() > 3 && absl::EqualsIgnoreCase(args[2], "ID")) {
    for (const absl::string_view text : args.subspan(3)) {
      int64_t id = 0;
      if (!ParseInteger(text, &id)) return call->reply->Error("ERR Invalid client ID");
      ids.insert(static_cast<uint64_t>(id));
    }
    filter.ids = &ids;
  } else if (args.size() != 2) {
    return call->reply->Error(kSyntaxError);
  }
  call->reply->Verbatim(
      call->state->clients.List(call->state->options.clock->Now(), filter, kMaxListed));
}

void ClientReply(CommandCall* call) {
  using Replies = Connection::Replies;
  Replies* const replies = &call->connection->replies;
  if (absl::EqualsIgnoreCase(call->args[2], "ON")) {
    *replies = Replies::kOn;
    call->reply->Ok();
  } else if (absl::EqualsIgnoreCase(call->args[2], "OFF")) {
    *replies = Replies::kOff;
  } else if (absl::EqualsIgnoreCase(call->args[2], "SKIP")) {
    if (*replies != Replies::kOff) *replies = Replies::kSkipNext;
  } else {
    call->reply->Error(kSyntaxError);
  }
}

void ClientSetInfo(CommandCall* call) {
  const auto args = call->args;
  const bool is_name = absl::EqualsIgnoreCase(args[2], "LIB-NAME");
  if (!is_name && !absl::EqualsIgnoreCase(args[2], "LIB-VER")) {
    return call->reply->Error(absl::StrCat("ERR Unrecognized option '", Shown(args[2]), "'"));
  }
  if (!CheckClientName(call, is_name ? "lib-name" : "lib-ver", args[3])) return;
  Client* const client = call->connection->client.get();
  is_name ? client->SetLibraryName(args[3]) : client->SetLibraryVersion(args[3]);
  call->reply->Ok();
}

void ClientSetName(CommandCall* call) {
  if (!CheckClientName(call, "Client names", call->args[2])) return;
  call->connection->client->SetName(call->args[2]);
  call->reply->Ok();
}

void ClientSwitch(CommandCall* call) {
  if (!absl::EqualsIgnoreCase(call->args[2], "ON") &&
      !absl::EqualsIgnoreCase(call->args[2], "OFF")) {
    return call->reply->Error(kSyntaxError);
  }
  call->reply->Ok();
}

}  // namespace resp
}  // namespace kvarts
