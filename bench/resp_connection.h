#ifndef KVARTS_BENCH_RESP_CONNECTION_H_
#define KVARTS_BENCH_RESP_CONNECTION_H_

#include "base/language.h"

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "bench/connection_run.h"
#include "net/transport.h"

namespace kvarts {

// Connections to any server of the RESP protocol, this tree's or another.
// `transport` must outlive them; `connect_timeout` is of each attempt to connect.
// A get is GET, an mget MGET, a put or an insert SET, a delete DEL. A scan is
// SCANs from the start, as the server has no order to begin at a key, and an MGET
// after each.
BenchConnectionFactory RespConnections(Transport* transport, absl::string_view address,
                                       absl::string_view password, absl::Duration connect_timeout);

}  // namespace kvarts

#endif  // KVARTS_BENCH_RESP_CONNECTION_H_
