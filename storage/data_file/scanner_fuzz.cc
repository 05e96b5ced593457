// Any bytes as a data file: the scanner agrees with a parser of ten lines, and
// with itself at whatever pieces the file is read in.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/data_file/data_file.h"
#include "storage/fs/memory.h"

namespace kvarts {
namespace {

using Records = std::vector<std::pair<std::string, uint64_t>>;

// Lines of inputs this small exceed no limit of sizes.
Records Parse(absl::string_view text, uint64_t* malformed) {
  Records records;
  for (size_t at = 0; at < text.size();) {
    const size_t newline = std::min(text.find('\n', at), text.size());
    const absl::string_view line = text.substr(at, newline - at);
    const size_t space = line.find(' ');
    if (space == 0 || space == absl::string_view::npos) {
      ++*malformed;
    } else {
      records.emplace_back(std::string(line.substr(0, space)), at);
    }
    at = newline + 1;
  }
  return records;
}

void Check(bool good) {
  if (!good) std::abort();
}

}  // namespace
}  // namespace kvarts

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvarts;  // NOLINT(google-build-using-namespace): a function of the outside
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  static MemoryFileSystem* const fs = new MemoryFileSystem;
  {
    auto file = fs->OpenForWrite("/f", FileSystem::Create::kTruncate);
    Check(file.ok() && (*file)->Append(text).ok());
  }
  fs->SyncAll();  // else it remembers what a crash could bring back, for ever
  uint64_t malformed = 0;
  const Records want = Parse(text, &malformed);
  auto scanner = DataFileScanner::Open(fs, "/f", /*skip_malformed=*/true);
  Check(scanner.ok());
  ScannedRecord record;
  for (const auto& [key, offset] : want) {
    const auto more = (*scanner)->Next(&record);
    Check(more.ok() && *more && record.key == key && record.offset == offset);
  }
  const auto more = (*scanner)->Next(&record);
  Check(more.ok() && !*more);
  Check((*scanner)->counts().malformed == malformed);
  Check((*scanner)->counts().lines == want.size() + malformed);
  Check((*scanner)->checksum() == Checksum(text));

  // Records at their offsets, and a strict scan that stops at the first fault.
  const DataFileMap map(*fs->Map("/f"));
  for (const auto& [key, offset] : want) {
    absl::string_view value;
    Check(map.Find(offset, key, &value) == DataFileMap::Match::kEqual);
    Check(text.substr(offset + key.size() + 1, value.size()) == value);
  }
  auto strict = DataFileScanner::Open(fs, "/f", /*skip_malformed=*/false);
  Check(strict.ok());
  absl::Status status;
  for (bool go = true; go;) {
    const auto next = (*strict)->Next(&record);
    status = next.status();
    go = next.ok() && *next;
  }
  Check(status.ok() == (malformed == 0));
  return 0;
}
