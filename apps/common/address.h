#ifndef KVARTS_APPS_COMMON_ADDRESS_H_
#define KVARTS_APPS_COMMON_ADDRESS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// The address of a flag as transports have it: "127.0.0.1:7780" and
// "tcp://127.0.0.1:7780" are "tcp://127.0.0.1:7780", "unix:PATH" is itself.
std::string ToAddress(absl::string_view flag);

// kInvalidArgument where the address of a flag has no HOST: in front of its port, "7780" or
// ":7780", with what to write instead. What else is wrong with it the transport says.
absl::Status CheckHost(absl::string_view flag);

// "tcp://127.0.0.1:7780" is "127.0.0.1:7780", as ready lines show it.
std::string WithoutTcp(absl::string_view address);

// True where only this machine reaches what listens at the address: Unix
// sockets, 127.0.0.0/8, [::1] and localhost.
bool IsLocal(absl::string_view address);

}  // namespace kvarts

#endif  // KVARTS_APPS_COMMON_ADDRESS_H_
