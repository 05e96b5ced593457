#ifndef KVARTS_STORAGE_SSTABLE_TEST_STORE_H_
#define KVARTS_STORAGE_SSTABLE_TEST_STORE_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/sstable/sstable.h"

// Helpers of the tests of whole stores.
namespace kvarts {

using State = std::map<std::string, std::string>;

inline constexpr char kTestDir[] = "store";

// Small, so that a short history has several levels; on one thread, in an order that repeats. A
// memtable has as many bytes as its first block, and what is large.
inline SstableOptions SmallSstable(FileSystem* fs) {
  SstableOptions options;
  options.fs = fs;
  options.threads = false;
  options.memory = 1 << 20;
  options.memtable_bytes = 300 << 10;
  options.block_bytes = 128;
  options.table_bytes = 1024;
  options.level1_bytes = 4096;
  return options;
}

// All that a scan gives, at a snapshot or now.
inline absl::StatusOr<State> ContentsOf(Store* store,
                                        std::shared_ptr<const Snapshot> snapshot = nullptr) {
  ScanOptions scan;
  scan.snapshot = std::move(snapshot);
  auto cursor = store->NewCursor(scan);
  if (!cursor.ok()) return cursor.status();
  State state;
  ScanPage page;
  do {
    if (absl::Status status = (*cursor)->Next(PageLimits(), &page); !status.ok()) return status;
    for (const ScanEntry& entry : page) state[std::string(entry.key)] = std::string(entry.value);
  } while (!page.empty());
  return state;
}

// A batch of one put.
inline absl::Status PutWith(Store* store, absl::string_view key, absl::string_view value, bool sync,
                            const Metadata& metadata = {}) {
  WriteBatch batch;
  batch.Put(key, value, metadata);
  WriteOptions options;
  options.sync = sync;
  return store->Write(batch, options, nullptr);
}
inline absl::Status DeleteRangeOf(Store* store, absl::string_view begin, absl::string_view end) {
  WriteBatch batch;
  batch.DeleteRange(begin, end);
  return store->Write(batch, {}, nullptr);
}

// A number of Store::Stats(), by its name.
inline uint64_t StatOf(Store* store, absl::string_view name) {
  const auto stats = store->Stats();
  if (!stats.ok()) return ~uint64_t{0};
  for (const auto& [key, value] : stats->details) {
    if (key == name) return std::stoull(value);
  }
  return 0;
}

// The files of a store with this ending.
inline std::set<std::string> FilesOf(FileSystem* fs, absl::string_view ending,
                                     const std::string& dir = kTestDir) {
  std::set<std::string> found;
  const auto names = fs->List(dir);
  if (!names.ok()) return found;
  for (const std::string& name : *names) {
    if (absl::EndsWith(name, ending)) found.insert(name);
  }
  return found;
}

// The bytes of all files of a store but its lock, who holds it, and its reserve.
inline State BytesOf(FileSystem* fs, const std::string& dir = kTestDir) {
  State bytes;
  for (const std::string& name : FilesOf(fs, "", dir)) {
    if (name == "LOCK" || name == "OWNER" || name == "RESERVE") continue;
    const auto text = ReadFile(fs, JoinPath(dir, name));
    bytes[name] = text.ok() ? *text : text.status().ToString();
  }
  return bytes;
}

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SSTABLE_TEST_STORE_H_
