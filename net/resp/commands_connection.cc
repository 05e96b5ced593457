#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/secret.h"
#include "base/version.h"
#include "net/resp/client_names.h"
#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {
namespace {

constexpr char kWrongPassword[] = "WRONGPASS invalid username-password pair or user is disabled.";

// True where user and password are right, or else the reply is written.
bool LetIn(CommandCall* call, absl::string_view user, absl::string_view password) {
  const std::string& wanted = call->state->options.password;
  // Without a password the one user has none, and any is right.
  if (user == "default" && (wanted.empty() || SameSecret(password, wanted))) {
    call->connection->authenticated = true;
    return true;
  }
  call->reply->Error(kWrongPassword);
  return false;
}

void SetProtocol(CommandCall* call, int protocol) {
  call->reply->set_protocol(protocol);
  call->connection->client->set_protocol(protocol);
}

}  // namespace

void Auth(CommandCall* call) {
  const auto args = call->args;
  if (args.size() > 3) return call->reply->Error(kSyntaxError);
  if (args.size() == 2 && call->state->options.password.empty()) {
    return call->reply->Error(
        "ERR AUTH <password> called without any password configured for the default user. Are "
        "you sure your configuration is correct?");
  }
  if (LetIn(call, args.size() == 3 ? args[1] : "default", args[args.size() - 1])) {
    call->reply->Ok();
  }
}

void Hello(CommandCall* call) {
  const auto args = call->args;
  ReplyWriter* const reply = call->reply;
  int64_t protocol = reply->protocol();
  if (args.size() > 1) {
    if (!ParseInteger(args[1], &protocol)) {
      return reply->Error("ERR Protocol version is not an integer or out of range");
    }
    if (protocol < 2 || protocol > 3) return reply->Error("NOPROTO unsupported protocol version");
  }
  // Each option is done as it comes, also where a later one is wrong.
  for (size_t i = 2; i < args.size(); ++i) {
    const size_t left = args.size() - 1 - i;
    if (absl::EqualsIgnoreCase(args[i], "AUTH") && left >= 2) {
      if (!LetIn(call, args[i + 1], args[i + 2])) return;
      i += 2;
    } else if (absl::EqualsIgnoreCase(args[i], "SETNAME") && left >= 1) {
      const absl::string_view name = args[++i];
      if (!CheckClientName(call, "Client names", name)) return;
      call->connection->client->SetName(name);
    } else {
      return reply->Error(absl::StrCat("ERR Syntax error in HELLO option '", Shown(args[i]), "'"));
    }
  }
  if (!call->connection->authenticated) {
    return reply->Error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
        "protocol version at the same time");
  }
  SetProtocol(call, static_cast<int>(protocol));
  reply->Map(7);
  reply->Bulk("server");
  reply->Bulk("kvarts");
  reply->Bulk("version");
  reply->Bulk(kVersion);
  reply->Bulk("proto");
  reply->Integer(protocol);
  reply->Bulk("id");
  reply->Integer(static_cast<int64_t>(call->connection->client->id()));
  reply->Bulk("mode");
  reply->Bulk(ModeText(*call->state));
  reply->Bulk("role");
  reply->Bulk("master");
  reply->Bulk("modules");
  reply->Array(0);
}

void Ping(CommandCall* call) {
  if (call->args.size() > 2) return call->reply->Error(ArityError(call->command));
  if (call->args.size() == 2) return call->reply->Bulk(call->args[1]);
  call->reply->Simple("PONG");
}

void Echo(CommandCall* call) { call->reply->Bulk(call->args[1]); }

void Quit(CommandCall* call) {
  call->reply->Ok();
  call->end = true;
}

void Reset(CommandCall* call) {
  SetProtocol(call, 2);
  call->connection->client->SetName("");
  call->connection->transaction.reset();
  // The reply to this command stays left out, where CLIENT REPLY SKIP said so.
  Connection::Replies* const replies = &call->connection->replies;
  if (*replies != Connection::Replies::kSkip) *replies = Connection::Replies::kOn;
  call->connection->authenticated = call->state->options.password.empty();
  call->reply->Simple("RESET");
}

void Select(CommandCall* call) {
  int64_t index = 0;
  if (!ParseInteger(call->args[1], &index)) return call->reply->Error(kNotAnInteger);
  if (index < std::numeric_limits<int32_t>::min() || index > std::numeric_limits<int32_t>::max()) {
    return call->reply->Error(kNotAnInt32);
  }
  if (index != 0 && call->state->options.cluster != nullptr) {
    return call->reply->Error("ERR SELECT is not allowed in cluster mode");
  }
  if (index != 0) return call->reply->Error("ERR DB index is out of range");
  call->reply->Ok();
}

}  // namespace resp
}  // namespace kvarts
