#include "net/cluster_map.h"

#include "absl/strings/str_cat.h"

namespace kvarts {

std::vector<SlotRange> ClusterMap::RunsOf(int place) const {
  std::vector<SlotRange> runs;
  for (int slot = 0; slot < kSlots; ++slot) {
    if (owner[slot] != place) continue;
    const auto here = static_cast<uint16_t>(slot);
    if (!runs.empty() && runs.back().last + 1 == slot) {
      runs.back().last = here;
    } else {
      runs.push_back({here, here});
    }
  }
  return runs;
}

std::string HostPort(absl::string_view host, int port) {
  const bool is_v6 = host.find(':') != absl::string_view::npos;
  return is_v6 ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

}  // namespace kvarts
