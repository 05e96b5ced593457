// A snapshot of the index with damage anywhere, also with its checksums made right again: it is
// refused, or reads go on with what it says, and end in an error or an answer, which is the right
// one where no checksum was made. The parser gets the input as it is, too.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "storage/fs/memory.h"
#include "storage/sstable/index_snapshot.h"
#include "storage/sstable/sstable.h"

namespace kvarts {
namespace {

constexpr size_t kHeaderBytes = 32;

void Check(bool good) {
  if (!good) std::abort();
}

struct World {
  MemoryFileSystem fs;
  std::unique_ptr<Store> store;
  std::string good;
  std::string everything;

  World() {
    SstableOptions options;
    options.fs = &fs;
    options.threads = false;
    options.memory = 1 << 20;
    options.block_bytes = 100;
    options.table_bytes = 500;
    store = OpenSstable("store", options).value();
    for (int i = 0; i < 40; ++i) {
      Check(store->Put(absl::StrCat("key/", 100 + i), std::string(30, 'v')).ok());
    }
    WriteBatch batch;
    batch.DeleteRange("key/110", "key/113");
    Check(store->Write(batch, {}, nullptr).ok());
    auto snapshot = store->GetSnapshot();  // so that the deletion stays
    Check(store->maintenance()->Compact(KeyRange::All()).ok());
    Check(store->maintenance()->SaveIndexSnapshot("index").ok());
    good = *ReadFile(&fs, "index");
    everything = ReadAll();
    Check(everything != "error");
  }

  // "error" where anything failed.
  std::string ReadAll() {
    std::string text;
    auto cursor = store->NewCursor({}).value();
    ScanPage page;
    do {
      if (!cursor->Next(PageLimits(), &page).ok()) return "error";
      for (const ScanEntry& entry : page) absl::StrAppend(&text, entry.key, "=", entry.value);
    } while (!page.empty());
    for (int i = 0; i < 45; ++i) {
      const auto value = store->Get(absl::StrCat("key/", 100 + i));
      if (!value.ok()) return "error";
      text += value->value_or("-");
    }
    return text;
  }
};

void MakeChecksumsRight(std::string* text) {
  char* const p = text->data();
  StoreLE64(p + 24, Checksum(absl::string_view(p, 24)));
  for (size_t at = kHeaderBytes; at + 40 <= text->size();) {
    const uint64_t meta = LoadLE64(p + at + 24);
    if (meta > text->size() - at - 40) return;
    StoreLE64(p + at + 32 + meta, Checksum(absl::string_view(p + at, 32 + meta), at));
    at += 40 + meta;
  }
}

// What is taken is written again as it was, but for the header, which has bytes that nobody reads.
bool IsTaken(absl::string_view bytes) {
  const auto indexes = sstable::ParseIndexSnapshot("input", bytes);
  std::string text;
  const bool described = sstable::DescribeIndexSnapshot("input", bytes, &text).ok();
  Check(indexes.ok() || !described);
  if (!indexes.ok()) return false;
  std::string again = sstable::BeginIndexSnapshot(indexes->size());
  Check(again.size() == kHeaderBytes);
  for (const sstable::TableIndex& index : *indexes) sstable::AppendTableIndex(&again, index);
  Check(absl::string_view(again).substr(kHeaderBytes) == bytes.substr(kHeaderBytes));
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World* const world = new World();
  if (size == 0) return 0;
  IsTaken(absl::string_view(reinterpret_cast<const char*>(data), size));
  std::string bytes = world->good;
  const bool fix = (data[0] & 1) != 0;
  ByteReader in(absl::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
  if ((data[0] & 2) != 0) bytes.resize(in.Varint() % (bytes.size() + 100));
  while (in.ok() && !in.done() && !bytes.empty()) {
    char& c = bytes[in.Varint() % bytes.size()];
    c = static_cast<char>(c ^ in.Byte());
  }
  if (fix && bytes.size() >= kHeaderBytes) MakeChecksumsRight(&bytes);
  const bool parsed = IsTaken(bytes);
  if (!fix) Check(parsed == (bytes == world->good));
  {
    auto file = world->fs.OpenForWrite("damaged", FileSystem::Create::kTruncate).value();
    Check(file->Append(bytes).ok());
  }
  const bool taken = world->store->maintenance()->LoadIndexSnapshot("damaged").ok();
  Check(parsed || !taken);
  const std::string found = world->ReadAll();
  if (!fix) Check(found == world->everything);
  // The next input finds it as it was.
  if (fix) Check(world->store->maintenance()->LoadIndex().ok());
  return 0;
}

}  // namespace kvarts
