#ifndef KVARTS_NET_RESP_PROMETHEUS_H_
#define KVARTS_NET_RESP_PROMETHEUS_H_

#include <string>

#include "net/resp/state.h"

namespace kvarts {
namespace resp {

// What is counted of commands and errors, in Prometheus' text format. Thread-safe. CONFIG
// RESETSTAT has it begin at 0 again, as a restart does.
void AppendPrometheus(const ServerState& state, std::string* out);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_PROMETHEUS_H_
