// Any bytes as a data file: the scanner agrees with a parser of ten lines, and
// with itself at whatever pieces the file is read in.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/text_start.h"
#include "storage/data_file/data_file.h"
#include "storage/fs/memory.h"

namespace kvarts {
namespace {

struct Record {
  std::string key;
  uint64_t offset;
  uint64_t value_size;
};
using Records = std::vector<Record>;

// Lines of inputs this small exceed no limit of sizes.
Records Parse(absl::string_view text, uint64_t* malformed) {
  Records records;
  for (size_t at = ByteOrderMarkBytes(text); at < text.size();) {
    const size_t newline = std::min(text.find('\n', at), text.size());
    const absl::string_view line = text.substr(at, newline - at);
    const size_t space = line.find(' ');
    if (space == 0 || space == absl::string_view::npos) {
      ++*malformed;
    } else {
      records.push_back({std::string(line.substr(0, space)), at, line.size() - space - 1});
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
  auto scanner = DataFileScanner::Open(fs, "/f", /*skip_malformed=*/true);
  Check(scanner.ok());
  ScannedRecord record;
  if (!ForeignFormat(text.substr(0, kTextStartBytes)).empty()) {
    Check(absl::IsFailedPrecondition((*scanner)->Next(&record).status()));
    return 0;
  }
  uint64_t malformed = 0;
  const Records want = Parse(text, &malformed);
  for (const Record& r : want) {
    const auto more = (*scanner)->Next(&record);
    Check(more.ok() && *more && record.key == r.key && record.offset == r.offset);
    Check(record.value_size == r.value_size);
  }
  const auto more = (*scanner)->Next(&record);
  Check(more.ok() && !*more);
  Check((*scanner)->counts().malformed == malformed);
  Check((*scanner)->counts().lines == want.size() + malformed);
  Check((*scanner)->checksum() == Checksum(text));

  // Records at their offsets, and a strict scan that stops at the first fault.
  const DataFileMap map(*fs->Map("/f"));
  Check(map.begin() == ByteOrderMarkBytes(text));
  for (const Record& r : want) {
    const absl::string_view value = text.substr(r.offset + r.key.size() + 1, r.value_size);
    // The right size, none, and wrong ones.
    for (const uint64_t told : {r.value_size, DataFileMap::kUnknownSize, r.value_size / 2,
                                r.value_size + 1, uint64_t{size}}) {
      if (told > r.value_size && r.offset + r.key.size() + 1 + told < size &&
          text[r.offset + r.key.size() + 1 + told] == '\n') {
        continue;  // a lie that cannot be told from the truth
      }
      absl::string_view got;
      Check(map.Find(r.offset, told, r.key, &got) == DataFileMap::Match::kEqual);
      Check(got == value && got.data() == map.data() + (value.data() - text.data()));
    }
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
