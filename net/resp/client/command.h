#ifndef KVARTS_NET_RESP_CLIENT_COMMAND_H_
#define KVARTS_NET_RESP_CLIENT_COMMAND_H_

#include "base/language.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts {
namespace resp_client {

// Appends a command as servers take it: an array of bulk strings.
void AppendCommand(absl::Span<const absl::string_view> args, std::string* out);

// What an error reply means, given without its '-'. Its text is the message.
//   kResourceExhausted   OOM
//   kUnauthenticated     NOAUTH, WRONGPASS
//   kPermissionDenied    NOPERM, DENIED
//   kUnavailable         LOADING, BUSY, TRYAGAIN, CLUSTERDOWN, MASTERDOWN, MISCONF,
//                        NOREPLICAS, too many clients: not done, may be tried again
//   kFailedPrecondition  READONLY, WRONGTYPE, MOVED, ASK, CROSSSLOT, EXECABORT
//   kUnimplemented       an unknown command or subcommand
//   kInternal            all else
absl::Status ErrorStatus(absl::string_view error);

// kInternal: what the server sent is no answer to what it was asked.
absl::Status NonsenseError();

}  // namespace resp_client
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_COMMAND_H_
