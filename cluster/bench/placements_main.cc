// Compares ways to give keys to nodes: how even, how much moves, how large, how fast.

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cluster/bench/placements.h"
#include "gflags/gflags.h"

DEFINE_uint64(keys, 10000000, "Keys of a seed, UUIDs.");
DEFINE_int32(seeds, 8, "So many sets of keys.");
DEFINE_string(nodes, "3,7,8,31,32", "Numbers of nodes, ascending.");
DEFINE_string(only, "", "One scheme; empty: all.");
DEFINE_bool(json, false, "A JSON array in the place of a table.");

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  std::vector<int> nodes;
  for (const absl::string_view part : absl::StrSplit(FLAGS_nodes, ',')) {
    int n = 0;
    const bool is_good = absl::SimpleAtoi(part, &n) && n > (nodes.empty() ? 0 : nodes.back());
    if (!is_good || n > 100 || FLAGS_keys == 0 || FLAGS_seeds < 1) {
      absl::FPrintF(stderr, "placements: --nodes=%s: expected ascending numbers of 1 to 100\n",
                    FLAGS_nodes);
      return 2;
    }
    nodes.push_back(n);
  }
  const auto results =
      kvarts::cluster::ComparePlacements(FLAGS_keys, FLAGS_seeds, nodes, FLAGS_only);
  if (results.empty()) {
    absl::FPrintF(stderr, "placements: --only=%s: there is no such scheme\n", FLAGS_only);
    return 2;
  }
  if (!FLAGS_json) {
    absl::PrintF("%-12s %5s  %9s %9s  %10s %11s  %9s %6s\n", "scheme", "nodes", "mean skew",
                 "worst", "moved x n", "between old", "bytes", "ns");
  }
  const char* before = "[";
  for (const auto& r : results) {
    if (FLAGS_json) {
      absl::PrintF(
          "%s{\"scheme\":\"%s\",\"nodes\":%d,\"mean_skew\":%.5f,\"worst_skew\":%.5f,"
          "\"moved\":%.5f,\"moved_between_old\":%.5f,\"bytes\":%d,\"nanoseconds\":%.1f}",
          before, r.scheme, r.nodes, r.mean_skew, r.worst_skew, r.moved, r.moved_between_old,
          r.bytes, r.nanoseconds);
      before = ",\n";
    } else {
      absl::PrintF("%-12s %5d  %9.4f %9.4f  %10.4f %11.5f  %9d %6.1f\n", r.scheme, r.nodes,
                   r.mean_skew, r.worst_skew, r.moved, r.moved_between_old, r.bytes, r.nanoseconds);
    }
  }
  if (FLAGS_json) absl::PrintF("]\n");
  return 0;
}
