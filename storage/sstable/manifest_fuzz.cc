// Any records as those of a manifest, whose file is otherwise good: the store is opened or refused,
// and what it holds is read or refused, too.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/coding.h"
#include "storage/blocks/record_log.h"
#include "storage/fs/memory.h"
#include "storage/sstable/manifest.h"
#include "storage/sstable/sstable.h"

namespace kvarts {
namespace {

void Check(bool good) {
  if (!good) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  MemoryFileSystem fs;
  Check(fs.CreateDir("store").ok());
  RecordLogHeader header;
  header.kind = RecordLogHeader::Kind::kManifest;
  header.number = 1;
  ByteReader in(absl::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
  {
    auto log = RecordLogWriter::Create(&fs, "store/MANIFEST-000001", header).value();
    while (in.ok() && !in.done()) log->Add(in.Sized());
    Check(log->Flush().ok());
  }
  Check(WriteFileAtomically(&fs, "store/CURRENT", "MANIFEST-000001\n").ok());
  if ((data[0] & 2) != 0) {  // a table and a log that edits may name
    for (const char* name : {"store/000002.tbl", "store/000003.log"}) {
      Check(WriteFileAtomically(&fs, name, std::string(100, 'x')).ok());
    }
  }
  std::string text;
  InspectSstableFile(&fs, "store/MANIFEST-000001", &text).IgnoreError();
  SstableOptions options;
  options.fs = &fs;
  options.threads = false;
  options.memory = 1 << 20;
  options.read_only = (data[0] & 1) != 0;
  options.log = (data[0] & 4) == 0;
  auto store = OpenSstable("store", options);
  if (!store.ok()) return 0;
  (*store)->Get("key").status().IgnoreError();
  (*store)->maintenance()->Verify().status().IgnoreError();
  if (auto cursor = (*store)->NewCursor({}); cursor.ok()) {
    ScanPage page;
    (*cursor)->Next(PageLimits(), &page).IgnoreError();
  }
  if (!options.read_only) {
    (*store)->Put("key", "value").IgnoreError();
    (*store)->maintenance()->Flush().IgnoreError();
  }
  return 0;
}

}  // namespace kvarts
