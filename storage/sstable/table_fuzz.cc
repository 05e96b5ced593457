// A table with damage anywhere, also with checksums made right again, so that what lies under them
// is reached: reads end in an error or an answer, which is the right one where no checksum was
// made.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "storage/fs/memory.h"
#include "storage/sstable/table.h"
#include "storage/sstable/table_format.h"

namespace kvarts::sstable {
namespace {

void Check(bool good) {
  if (!good) std::abort();
}

// A table, and where its blocks are.
struct Good {
  std::string bytes;
  TableInfo info;
  std::vector<std::string> keys;
  std::vector<uint64_t> blocks;  // where they begin, and where the last one ends
  std::string meta;

  explicit Good(Compression how) {
    MemoryFileSystem fs;
    TableOptions options;
    options.block_bytes = 200;
    options.compression = how;
    auto builder = TableBuilder::Create(&fs, "/", 1, options).value();
    Sequence sequence = 1;
    for (int i = 0; i < 60; ++i) {
      keys.push_back(absl::StrCat("key/", i % 7 == 0 ? "longer/" : "", 100 + i));
    }
    std::sort(keys.begin(), keys.end());
    for (const std::string& key : keys) {
      for (int version = 2; version >= 0; --version) {
        const std::string blob(20, static_cast<char>('a' + version));
        Check(builder
                  ->Add({key, MakeTrailer(sequence + version, version == 1 ? kDelete : kPut),
                         version == 1 ? absl::string_view() : blob})
                  .ok());
      }
      sequence += 3;
    }
    builder->AddRange({"key/1", "key/2", sequence});
    builder->AddRange({"key/15", "", sequence + 1});
    info = builder->Finish().value();
    bytes = *ReadFile(&fs, TablePath("/", 1));
    ReadCounters counters;
    const auto table = Table::Open(&fs, "/", info, &counters).value();
    meta = table->raw_meta();
    ByteReader reader(meta);
    TableInfo skipped;
    Check(TakeTableInfo(&reader, &skipped));
    blocks.push_back(0);
    for (uint64_t n = reader.Varint(); n > 0; --n)
      blocks.push_back(blocks.back() + reader.Varint());
  }
};

void MakeChecksumsRight(const Good& good, std::string* bytes) {
  char* const p = bytes->data();
  for (size_t i = 0; i + 1 < good.blocks.size(); ++i) {
    const uint64_t begin = good.blocks[i];
    const uint64_t size = good.blocks[i + 1] - begin - 8;
    StoreLE64(p + begin + size,
              BlockChecksum(good.info.id, begin, absl::string_view(p + begin, size)));
  }
  const uint64_t meta = good.blocks.back();
  StoreLE64(p + meta + good.meta.size(),
            BlockChecksum(good.info.id, meta, absl::string_view(p + meta, good.meta.size())));
  char* const footer = p + bytes->size() - kFooterBytes;
  StoreLE64(footer + 40, Checksum(absl::string_view(footer, 40)));
}

std::string TextOf(const Entry& entry) {
  return absl::StrCat(entry.key, "@", entry.trailer, "=", entry.blob);
}

// Everything that can be read, as text; ends with an error.
std::string ReadAll(const std::string& bytes, const TableInfo& info,
                    const std::vector<std::string>& keys) {
  MemoryFileSystem fs;
  {
    auto file = fs.OpenForWrite(TablePath("/", 1), FileSystem::Create::kNew).value();
    Check(file->Append(bytes).ok());
  }
  Table::ReadInfo(&fs, TablePath("/", 1)).status().IgnoreError();
  ReadCounters counters;
  const auto owned = std::make_unique<BlockCache>(64 << 10);
  BlockCache& cache = *owned;
  const auto table = Table::Open(&fs, "/", info, &counters);
  if (!table.ok()) return "error";
  std::string text;
  bool failed = !Table::Verify(*table, &counters).ok();
  for (BlockCache* const with : {&cache, static_cast<BlockCache*>(nullptr)}) {
    const auto it = Table::NewIterator(*table, with, &counters);
    // A damaged block may go in circles of no entry: none has more than its bytes.
    size_t steps = 0;
    for (it->SeekToFirst(); it->valid() && ++steps < 10000; it->Next()) text += TextOf(it->entry());
    for (it->SeekToLast(); it->valid() && ++steps < 20000; it->Prev()) text += TextOf(it->entry());
    Check(steps < 10000);
    it->Seek("key/13", MakeTrailer(50, kPut));
    if (it->valid()) text += TextOf(it->entry());
    it->SeekBefore("key/13", MakeTrailer(50, kPut));
    if (it->valid()) text += TextOf(it->entry());
    failed = failed || !it->status().ok();
  }
  for (const std::string& key : keys) {
    bool found = false;
    Entry entry;
    std::shared_ptr<const Block> block;
    const absl::Status status =
        (*table)->Get(key, KeyHash(key), 100, false, &cache, &counters, &found, &entry, &block);
    if (found) text += TextOf(entry);
    failed = failed || !status.ok();
    absl::StrAppend(&text, (*table)->ranges()->Covering(key, kMaxSequence));
  }
  (*table)->ApproximateBytes("key/1", "key/2");
  return failed ? "error" : text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Good kGood[] = {Good(Compression::kNone), Good(Compression::kLz4),
                               Good(Compression::kZstd)};
  static const std::string kAll[] = {ReadAll(kGood[0].bytes, kGood[0].info, kGood[0].keys),
                                     ReadAll(kGood[1].bytes, kGood[1].info, kGood[1].keys),
                                     ReadAll(kGood[2].bytes, kGood[2].info, kGood[2].keys)};
  if (size == 0) return 0;
  const size_t which = data[0] % 3;
  const bool fix = (data[0] & 0x80) != 0;
  const Good& good = kGood[which];
  std::string bytes = good.bytes;
  kvarts::ByteReader in(absl::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
  while (in.ok() && !in.done()) {
    // It counts from the end, where the index is, or from the start.
    const uint64_t place = in.Varint();
    const uint64_t at = place / 2 % bytes.size();
    char& c = bytes[place % 2 == 0 ? at : bytes.size() - 1 - at];
    c = static_cast<char>(c ^ in.Byte());
  }
  if (fix) MakeChecksumsRight(good, &bytes);
  const std::string text = ReadAll(bytes, good.info, good.keys);
  if (!fix) Check(text == "error" || text == kAll[which]);
  return 0;
}

}  // namespace kvarts::sstable
