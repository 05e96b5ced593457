#ifndef KVARTS_BENCH_NATIVE_CONNECTION_H_
#define KVARTS_BENCH_NATIVE_CONNECTION_H_

#include "base/language.h"

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "bench/connection_run.h"
#include "net/transport.h"

namespace kvarts {

// Connections to a server of the native protocol. `transport` must outlive them;
// `connect_timeout` is of each attempt to connect.
BenchConnectionFactory NativeConnections(Transport* transport, absl::string_view address,
                                         absl::string_view password,
                                         absl::Duration connect_timeout);

}  // namespace kvarts

#endif  // KVARTS_BENCH_NATIVE_CONNECTION_H_
