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

ServerState::ServerState(const RespOptions& o)
    : options(o),
      started(o.clock->Now()),
      run_id(RandomId()),
      scans(o.max_scans, kMaxScanBytes),
      lua(o.max_script_bytes) {}

}  // namespace resp
}  // namespace kvarts
