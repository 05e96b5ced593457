#ifndef KVARTS_GROUPBY_AGGREGATE_STATE_RECORD_H_
#define KVARTS_GROUPBY_AGGREGATE_STATE_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "groupby/aggregate/state_layout.h"
#include "groupby/aggregate/state_table.h"
#include "groupby/spill/page_pool.h"
#include "groupby/spill/spill_file.h"

// States of groups in spill files. A file is a stream of records, cut into blocks where
// a block is full, not where a record ends:
//
//   states    size of what follows | key size | key | packed states | blocks
//   distinct  hash 8 | check 8 | field 16       the check's last byte: which aggregate
//
// Sizes are varints (storage/sort/record.h). States are words of 8 bytes as in memory, but for
// StateBlock's address and capacity, which are 0; packed, they are half a byte each that says
// how many low bytes a word has before only zeros follow (two to a byte, the lower half first),
// then these bytes: most words are small numbers. `blocks` are the bytes of those that have
// one, in the order of the aggregates. A file has records of one kind.
namespace kvarts::groupby_internal {

struct DistinctRecord {
  uint64_t hash;
  uint64_t check;
  Hash128 field;

  size_t item() const { return check & 0xff; }
};

// Not thread-safe. Writes a stream to a file through a buffer that others use before and after.
class RecordWriter {
 public:
  // `room` holds SpillFile::kHeaderBytes and a block.
  RecordWriter(SpillFile* file, char* room, size_t room_bytes)
      : file_(file), room_(room), room_bytes_(room_bytes) {}

  absl::Status Append(absl::string_view bytes);
  // A record of the group; `scratch` is for any use.
  absl::Status AppendStates(const StateLayout& layout, const StateEntry& entry,
                            std::string* scratch);
  // One as it was read.
  absl::Status AppendStatesRecord(absl::string_view record);
  absl::Status AppendDistinctRecord(const DistinctRecord& record);
  absl::Status AppendDistinct(const StateLayout& layout, const StateEntry& entry, size_t item,
                              const Hash128& field);
  // Writes what is in the buffer.
  absl::Status Flush();

  uint64_t written() const { return written_; }
  SpillFile* file() const { return file_; }

 private:
  SpillFile* file_;
  char* room_;
  size_t room_bytes_;
  size_t used_ = SpillFile::kHeaderBytes;
  uint64_t written_ = 0;
};

// Who has memory made for others.
class RoomMaker {
 public:
  virtual absl::Status MakeRoom(size_t bytes) = 0;

 protected:
  ~RoomMaker() = default;
};

// Not thread-safe. Reads a file's records from the first one on.
class RecordReader {
 public:
  // The buffers are reserved as they are needed; all outlive what was read.
  RecordReader(SpillFile* file, MemoryBudget::Account* account, RoomMaker* room)
      : file_(file), room_(room), block_(account), whole_(account) {}

  // The next record of states as it is written, without its size; false behind the last one.
  absl::StatusOr<bool> Next(absl::string_view* record);
  absl::StatusOr<bool> NextDistinct(DistinctRecord* record);

 private:
  absl::StatusOr<uint32_t> TakeVarint();
  // `size` bytes of the stream, good until the next call.
  absl::StatusOr<absl::string_view> Take(size_t size);
  absl::StatusOr<bool> NextBlock();
  absl::Status Resize(Buffer* buffer, size_t bytes);

  SpillFile* const file_;
  RoomMaker* const room_;
  Buffer block_;
  Buffer whole_;  // a record that is in several blocks
  absl::string_view rest_;
  size_t next_ = 0;
};

// A record of states, taken apart. The states are aligned, their blocks are in the record.
class StateRecord {
 public:
  explicit StateRecord(const StateLayout* layout)
      : layout_(*layout), states_(layout->state_bytes() / 8) {}

  // kDataLoss where it is not one.
  absl::Status Parse(absl::string_view record);
  // Of its key.
  static uint64_t Hash(absl::string_view record);

  uint64_t hash() const { return hash_; }
  absl::string_view key() const { return key_; }
  const char* states() const { return reinterpret_cast<const char*>(states_.data()); }

 private:
  const StateLayout& layout_;
  uint64_t hash_ = 0;
  absl::string_view key_;
  std::vector<uint64_t> states_;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_STATE_RECORD_H_
