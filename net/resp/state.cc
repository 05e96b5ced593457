#include "net/resp/state.h"

#include <random>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace resp {
namespace {

constexpr size_t kMaxScanBytes = 64 << 20;

std::string RandomId() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 5; ++i) absl::StrAppend(&id, absl::Hex(random(), absl::kZeroPad8));
  return id;
}

}  // namespace

ServerState::ServerState(const RespOptions& o, size_t commands)
    : options(o),
      started(o.clock->Now()),
      run_id(RandomId()),
      scans(o.max_scans, kMaxScanBytes),
      lua(o.max_script_bytes),
      command_stats(commands),
      rates(PreciseNanos()) {}

Rates::Counts ServerState::Counted() const {
  Rates::Counts counted;
  counted.commands = command_stats.totals().commands;
  if (options.metrics != nullptr) {
    const RequestCounts counts = options.metrics->Counts();
    counted.bytes_in = counts.bytes_in;
    counted.bytes_out = counts.bytes_out;
  }
  return counted;
}

}  // namespace resp
}  // namespace kvarts
