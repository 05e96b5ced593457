#ifndef KVARTS_STORAGE_DICT_DATASET_H_
#define KVARTS_STORAGE_DICT_DATASET_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/prefetch.h"
#include "storage/data_file/data_file.h"
#include "storage/dict/table.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// Thread-safe, immutable. A mapped data file and the table of its records. What
// reads lend out points into the mapping and must hold this.
class DictDataset {
 public:
  enum class Outcome : unsigned char { kFound = 0, kAbsent, kDataLost };

  // `info` is of the file that is mapped. `gaps`: lines of it are not in the
  // table, being malformed or of a key that comes again.
  DictDataset(std::string data_path, const FileInfo& info, DataFileMap data, DictTable table,
              bool gaps)
      : data_path_(std::move(data_path)),
        info_(info),
        gaps_(gaps),
        data_(std::move(data)),
        table_(std::move(table)) {}

  const std::string& data_path() const { return data_path_; }
  const FileInfo& info() const { return info_; }
  const DataFileMap& data() const { return data_; }
  const DictTable& table() const { return table_; }
  bool gaps() const { return gaps_; }

  // A lookup between its two steps, which may have other work between them.
  struct Probe {
    const uint64_t* line;
    uint64_t tag;
  };
  // Begins to read what the second step needs.
  Outcome Begin(absl::string_view key, Probe* probe) const {
    const DictTable::Home home = table_.HomeOf(table_.Hash(key));
    PrefetchRead(home.line);
    *probe = {home.line, home.tag};
    return Outcome::kFound;
  }
  // On kFound, `value` points into the mapping; else it stays as it was.
  ABSL_ATTRIBUTE_ALWAYS_INLINE Outcome Finish(absl::string_view key, const Probe& probe,
                                              absl::string_view* value) const {
    return Resolve(key, probe.line, probe.tag, table_.Matches(probe.line, probe.tag), value);
  }

  // Both, for up to kBatch keys, whose cache misses overlap: each step is made
  // for all keys, and prefetches for the next, before any key makes the next.
  static constexpr size_t kBatch = 64;
  void FindBatch(absl::Span<const absl::string_view> keys, absl::string_view* values,
                 Outcome* outcomes) const;

  // Whether the record of `key` is the one at `offset`.
  bool IsRecord(absl::string_view key, uint64_t offset) const;

  // The table is of no file.
  const std::atomic<uint32_t>& index_losses() const { return data_.file()->losses(); }
  // For what was read before a page of the file was found to be gone: whether it
  // still holds. `bytes` are those found, if any.
  Outcome Recheck(bool found, absl::string_view bytes) const;
  // What kDataLost is as an error.
  absl::Status Error(Outcome outcome) const;

 private:
  // From `line` on, of which `matches` are left to be compared.
  ABSL_ATTRIBUTE_ALWAYS_INLINE Outcome Resolve(absl::string_view key, const uint64_t* line,
                                               uint64_t tag, uint32_t matches,
                                               absl::string_view* value) const {
    // The first one, mostly the only one, without a loop around it: the
    // processor then runs on into the next lookup while this one waits.
    if (ABSL_PREDICT_TRUE(matches != 0) &&
        ABSL_PREDICT_TRUE(Compare(line[__builtin_ctz(matches)], key, value) ==
                          DataFileMap::Match::kEqual)) {
      return Outcome::kFound;
    }
    if (matches == 0 && !DictTable::Spilled(line)) return Outcome::kAbsent;
    return ResolveOther(key, line, tag, matches, value);
  }
  // What is rare in it.
  Outcome ResolveOther(absl::string_view key, const uint64_t* line, uint64_t tag, uint32_t matches,
                       absl::string_view* value) const;
  ABSL_ATTRIBUTE_ALWAYS_INLINE DataFileMap::Match Compare(uint64_t slot, absl::string_view key,
                                                          absl::string_view* value) const {
    return data_.Find(table_.layout().Offset(slot), table_.layout().ValueSize(slot), key, value);
  }

  const std::string data_path_;
  const FileInfo info_;
  const bool gaps_;
  const DataFileMap data_;
  const DictTable table_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DICT_DATASET_H_
