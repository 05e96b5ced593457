#ifndef KVARTS_CLUSTER_NODE_SIM_SIM_RUN_H_
#define KVARTS_CLUSTER_NODE_SIM_SIM_RUN_H_

#include <cstdint>
#include <string>

namespace kvarts {
namespace cluster {

struct SimRunOptions {
  bool durable = false;
  bool gives_up = false;  // now and then what is on crashed nodes, which come back
  int operations = 1000;
};

struct SimRunResult {
  std::string violation;  // with the last events; empty where all went well
  uint64_t trace_hash = 0;
  // What the seed reached.
  uint64_t answered = 0;
  uint64_t moved_answers = 0;
  uint64_t crashes = 0;
  uint64_t lost_slots = 0;
  uint64_t given_up_slots = 0;
};

// A cluster under clients and faults, as the seed has it: a safety phase in which nodes join,
// leave, crash, stall, lose sight of each other and of the coordinator; then a liveness phase
// without faults, at whose end nothing may be left under way.
SimRunResult RunSeed(uint64_t seed, const SimRunOptions& options);

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_SIM_SIM_RUN_H_
