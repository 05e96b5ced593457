// Any bytes as an index, also with checksums made right: it is refused, or reads
// end in an error or an answer. Where no checksum was made right, an answer is
// the right one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "bench/bench_data.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "storage/bisect/format.h"
#include "storage/fs/memory.h"

namespace kvarts {
namespace {

void Check(bool good) {
  if (!good) std::abort();
}

// A data file and its index, in memory.
struct World {
  MemoryFileSystem fs;
  std::vector<std::string> keys;
  std::vector<absl::string_view> views;
  std::string index;

  World() {
    std::string text;
    for (int i = 0; i < 60; ++i) {
      keys.push_back(i % 2 == 0 ? BenchUuid(i) : absl::StrCat("key", i));
      absl::StrAppend(&text, keys.back(), " value ", i, "\n");
    }
    views.assign(keys.begin(), keys.end());
    Check(WriteFileAtomically(&fs, "/d", text).ok());
    BuildOptions options;
    options.fs = &fs;
    options.memory_bytes = kMinBuildMemory;
    Check(BuildBisect("/d", options).ok());
    index = *ReadFile(&fs, "/d.bisect");
  }
};

void MakeChecksumsRight(std::string* index) {
  if (index->size() < kIndexPageBytes) return;
  char* const p = &(*index)[0];
  StoreLE64(p + kIndexPageBytes - 8, Checksum(absl::string_view(p, kIndexPageBytes - 8)));
  const auto header = IndexHeader::Decode(*index);
  if (!header.ok()) return;
  for (uint64_t page = 1; (page + 1) * kIndexPageBytes <= index->size(); ++page) {
    char* const at = p + page * kIndexPageBytes;
    StoreLE64(at, IndexPageChecksum(*header, page, at));
  }
}

}  // namespace
}  // namespace kvarts

// The input: a byte of what to do, then patches of (offset of 2 bytes, length of
// 1, bytes), or the whole index.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvarts;  // NOLINT(google-build-using-namespace): a function of the outside
  static World* const world = new World;
  if (size == 0) return 0;
  const uint8_t mode = *data++;
  --size;
  std::string index = world->index;
  const bool whole = (mode & 2) != 0;
  if (whole) {
    index.assign(reinterpret_cast<const char*>(data), size);
  } else {
    while (size >= 3) {
      const size_t at = (data[0] | data[1] << 8) % index.size();
      const size_t length = std::min({static_cast<size_t>(data[2]), size - 3, index.size() - at});
      std::memcpy(&index[at], data + 3, length);
      data += 3 + length;
      size -= 3 + length;
    }
    if ((mode & 4) != 0) index.resize(index.size() - size * 97 % index.size());
  }
  const bool fixed = (mode & 1) != 0;
  if (fixed) MakeChecksumsRight(&index);
  {
    auto file = world->fs.OpenForWrite("/d.bisect", FileSystem::Create::kTruncate);
    Check(file.ok() && (*file)->Append(index).ok());
  }
  world->fs.SyncAll();  // else it remembers what a crash could bring back, for ever
  BisectOptions options;
  options.fs = &world->fs;
  const auto store = OpenBisect("/d", options);
  if (!store.ok()) return 0;
  ReadResults results;
  (*store)->MultiGet(world->views, ReadOptions(), &results);
  for (size_t i = 0; i < world->keys.size(); ++i) {
    if (!results[i].status.ok() || fixed) continue;
    Check(results[i].found && results[i].value == absl::StrCat("value ", i));
  }
  for (const bool backward : {false, true}) {
    ScanOptions scan;
    scan.range = KeyRange::FromTo("3", "key4");
    scan.backward = backward;
    auto cursor = (*store)->NewCursor(scan);
    if (!cursor.ok()) continue;
    ScanPage page;
    while ((*cursor)->Next(PageLimits(), &page).ok() && !page.empty()) {
    }
  }
  BuildOptions verify;
  verify.fs = &world->fs;
  const absl::Status verified = VerifyBisect("/d", verify);
  if (index == world->index) Check(verified.ok());
  return 0;
}
