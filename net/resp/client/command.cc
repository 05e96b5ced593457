#include "net/resp/client/command.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace resp_client {

void AppendCommand(absl::Span<const absl::string_view> args, std::string* out) {
  absl::StrAppend(out, "*", args.size(), "\r\n");
  for (const absl::string_view arg : args) {
    absl::StrAppend(out, "$", arg.size(), "\r\n", arg, "\r\n");
  }
}

absl::Status ErrorStatus(absl::string_view error) {
  static constexpr struct {
    absl::string_view begin;
    absl::StatusCode code;
  } kErrors[] = {
      {"OOM ", absl::StatusCode::kResourceExhausted},
      {"NOAUTH ", absl::StatusCode::kUnauthenticated},
      {"WRONGPASS ", absl::StatusCode::kUnauthenticated},
      {"NOPERM ", absl::StatusCode::kPermissionDenied},
      {"DENIED ", absl::StatusCode::kPermissionDenied},
      {"LOADING ", absl::StatusCode::kUnavailable},
      {"BUSY ", absl::StatusCode::kUnavailable},
      {"TRYAGAIN ", absl::StatusCode::kUnavailable},
      {"CLUSTERDOWN ", absl::StatusCode::kUnavailable},
      {"MASTERDOWN ", absl::StatusCode::kUnavailable},
      {"MISCONF ", absl::StatusCode::kUnavailable},
      {"NOREPLICAS ", absl::StatusCode::kUnavailable},
      {"ERR max number of clients", absl::StatusCode::kUnavailable},
      {"READONLY ", absl::StatusCode::kFailedPrecondition},
      {"WRONGTYPE ", absl::StatusCode::kFailedPrecondition},
      {"MOVED ", absl::StatusCode::kFailedPrecondition},
      {"ASK ", absl::StatusCode::kFailedPrecondition},
      {"CROSSSLOT ", absl::StatusCode::kFailedPrecondition},
      {"EXECABORT ", absl::StatusCode::kFailedPrecondition},
      {"ERR unknown command", absl::StatusCode::kUnimplemented},
      {"ERR unknown subcommand", absl::StatusCode::kUnimplemented},
  };
  for (const auto& known : kErrors) {
    if (absl::StartsWith(error, known.begin)) return absl::Status(known.code, error);
  }
  return absl::InternalError(error);
}

absl::Status NonsenseError() {
  return absl::InternalError("the server's reply does not fit the command");
}

}  // namespace resp_client
}  // namespace kvarts
