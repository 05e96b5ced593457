// Any bytes as a run's file: it is refused, or reads end in an error or in groups. With
// checksums made right, the bytes may say anything: reads then must not go beyond what
// they were given. Where no checksum was made right, what is read is what was written.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "groupby/sorted/run_file.h"
#include "groupby/sorted/run_merger.h"
#include "groupby/sorted/sort_counters.h"
#include "groupby/spill/spill_file.h"
#include "storage/fs/memory.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kBlock = 48;
constexpr size_t kHeader = SpillFile::kHeaderBytes;
constexpr size_t kMaxKey = 100;
constexpr size_t kMaxValue = 200;

void Check(bool good) {
  if (!good) std::abort();
}

using Groups = std::vector<std::pair<std::string, std::vector<std::string>>>;

// Two runs of some keys in common, and what they are as they were written.
struct World {
  MemoryFileSystem fs;
  std::atomic<bool> cancelled{false};
  std::vector<SortedRun> runs;
  std::vector<std::string> bytes;
  Groups groups;

  World() {
    for (int i = 0; i < 12; ++i) groups.emplace_back(absl::StrCat("key ", 10 + i), Values());
    groups.emplace_back(std::string(90, 'k'), Values());
    for (int run = 0; run < 2; ++run) Write(run);
  }
  using Values = std::vector<std::string>;

  void Write(int run) {
    char room[kHeader + kBlock];
    const std::string path = absl::StrCat("/", run, ".run");
    RunWriter writer(SpillFile::New(&fs, path).value(), room, kBlock, &cancelled);
    for (size_t i = 0; i < groups.size(); ++i) {
      if (i % 3 == static_cast<size_t>(run)) continue;
      std::string encoded;
      for (size_t v = 0; v < 1 + i % 2; ++v) {
        const std::string value(i % 5 == 0 ? 120 : i, static_cast<char>('a' + run));
        encoded += static_cast<char>(value.size());
        encoded += value;
        groups[i].second.push_back(value);
      }
      Check(writer.BeginGroup(groups[i].first, encoded.size()).ok() && writer.Put(encoded).ok());
    }
    runs.push_back(writer.Finish().value());
    bytes.push_back(*ReadFile(&fs, path));
  }
};

void MakeChecksumsRight(const SpillFile& file, std::string* bytes) {
  for (size_t i = 0; i < file.blocks(); ++i) {
    char* const p = &(*bytes)[file.block_offset(i)];
    const size_t size = file.block_bytes(i);
    StoreLE32(p + 8, static_cast<uint32_t>(size));
    StoreLE32(p + 12, 0x0153474b);
    StoreLE64(p, Checksum(absl::string_view(p + 8, kHeader - 8 + size), i));
  }
}

// Of the exact sizes, on the heap: AddressSanitizer then sees a step beyond.
struct Buffers {
  std::vector<std::unique_ptr<char[]>> all;
  char* New(size_t bytes) {
    all.emplace_back(new char[bytes]);
    return all.back().get();
  }
};

// What the merge of the runs gives, to its end or an error; some groups are passed over.
absl::Status ReadMerged(World* world, uint8_t skip, Groups* groups) {
  Buffers buffers;
  SortCounter comparisons;
  RunMerger merger(world->runs.size(), kMaxKey, &comparisons);
  for (const SortedRun& run : world->runs) {
    merger.Add(RunReader(&run, kBlock,
                         buffers.New(RunReader::BufferBytes(kBlock, run.crossing_key)),
                         &world->cancelled));
  }
  absl::Status status = merger.Start();
  if (!status.ok()) return status;
  char* const room = buffers.New(kMaxValue);
  absl::string_view views[2];
  for (size_t n = 0;; ++n) {
    const auto more = merger.NextGroup();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    groups->emplace_back(std::string(merger.key()), World::Values());
    if (skip != 0 && n % skip == 0) continue;
    for (;;) {
      const auto part = merger.Part();
      if (!part.ok()) return part.status();
      if (*part == nullptr) break;
      const auto values = (*part)->Values(absl::MakeSpan(views), absl::MakeSpan(room, kMaxValue));
      if (!values.ok()) return values.status();
      Check(!values->empty());
      for (const absl::string_view value : *values) groups->back().second.emplace_back(value);
    }
  }
}

}  // namespace
}  // namespace kvarts::groupby_internal

// The input: a byte of what to do, one of what to pass over, then patches of (offset of
// 2 bytes, length of 1, bytes) of the first run's file, or all of its bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvarts;                    // NOLINT(google-build-using-namespace)
  using namespace kvarts::groupby_internal;  // NOLINT(google-build-using-namespace)
  static World* const world = new World;
  if (size < 2) return 0;
  const uint8_t mode = *data++;
  const uint8_t skip = *data++;
  size -= 2;
  std::string bytes = world->bytes[0];
  if ((mode & 2) != 0) {
    std::copy_n(reinterpret_cast<const char*>(data), std::min(size, bytes.size()), bytes.data());
  } else {
    while (size >= 3) {
      const size_t at = (data[0] | data[1] << 8) % bytes.size();
      const size_t length = std::min({static_cast<size_t>(data[2]), size - 3, bytes.size() - at});
      std::copy_n(reinterpret_cast<const char*>(data + 3), length, &bytes[at]);
      data += 3 + length;
      size -= 3 + length;
    }
  }
  const bool fixed = (mode & 1) != 0;
  if (fixed) MakeChecksumsRight(*world->runs[0].file, &bytes);
  if ((mode & 4) != 0) bytes.resize(bytes.size() - size * 97 % bytes.size());
  {
    const auto file = world->fs.OpenForWrite("/0.run", FileSystem::Create::kTruncate);
    Check(file.ok() && (*file)->Append(bytes).ok());
  }
  world->fs.SyncAll();  // else it remembers what a crash could bring back, for ever
  for (const SortedRun& run : world->runs) run.file->CloseReading();
  kvarts::groupby_internal::Groups groups;
  const absl::Status status = ReadMerged(world, skip, &groups);
  if (status.ok() && !fixed && skip == 0) Check(groups == world->groups);
  if (bytes == world->bytes[0]) Check(status.ok());
  if (!status.ok()) Check(absl::IsDataLoss(status));
  return 0;
}
