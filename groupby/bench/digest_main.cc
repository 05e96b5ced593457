// One line about a text, the same for rows and their groups: "rows=3 keys=2 sum=..."
// and, of groups, "ordered=1" where values are in the order of BenchRows.
//
//   digest rows.tsv; digest --groups groups.tsv

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/strings/str_format.h"
#include "gflags/gflags.h"
#include "groupby/bench/digest.h"

DEFINE_bool(groups, false, "The lines are key<TAB>value,value,... .");

namespace kvarts {
namespace {

int Fail(const std::string& message) {
  absl::FPrintF(stderr, "digest: %s\n", message);
  return 1;
}

int Main(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat stat;
  if (fd < 0 || fstat(fd, &stat) != 0)
    return Fail(absl::StrFormat("%s: %s", path, strerror(errno)));
  absl::string_view text;
  if (stat.st_size > 0) {
    const auto size = static_cast<size_t>(stat.st_size);
    void* const mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (mapped == MAP_FAILED) return Fail(absl::StrFormat("%s: %s", path, strerror(errno)));
    text = absl::string_view(static_cast<const char*>(mapped), size);
  }
  bool ordered = false;
  const absl::StatusOr<GroupDigest> digest =
      FLAGS_groups ? DigestGroups(text, &ordered) : DigestRows(text);
  if (!digest.ok()) return Fail(absl::StrFormat("%s: %s", path, digest.status().message()));
  absl::PrintF("%s%s\n", digest->ToString(),
               FLAGS_groups ? ordered ? " ordered=1" : " ordered=0" : "");
  return 0;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  gflags::SetUsageMessage("digest [--groups] FILE: rows, keys and a sum of a text");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  if (argc != 2) {
    absl::FPrintF(stderr, "digest: expected one file\n");
    return 2;
  }
  return kvarts::Main(argv[1]);
}
