#ifndef KVARTS_GROUPBY_PARTITIONED_GROUP_TABLE_H_
#define KVARTS_GROUPBY_PARTITIONED_GROUP_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/partitioned/engine.h"
#include "groupby/spill/page_pool.h"

namespace kvarts::groupby_internal {

// Not thread-safe. The groups of rows in memory: which keys there are, in the order in
// which they first came, and of each where its rows are, in their order.
//
//   slots   8 B, at most 5/8 used    32 bits of the hash, the group's number + 1
//   groups  16 B a group             its first row, its number of rows, the 32 bits
//   row's   4 B a row                its group
//   order   8 B a row                rows by group
class GroupTable {
 public:
  explicit GroupTable(Engine* engine)
      : engine_(engine),
        slots_(engine->account()),
        groups_(engine->account()),
        group_of_(engine->account()),
        order_(engine->account()) {}

  // The memory that it takes for rows of which none have the same key, at most.
  static size_t MaxBytes(uint64_t rows);

  // Replaces what was in it. kResourceExhausted where there is not memory enough;
  // kAborted where too many keys collide for this to be done in linear time.
  absl::Status Build(absl::Span<const Page> pages, uint64_t rows, bool may_ask);
  void Clear() { count_ = 0; }
  // Gives its memory back.
  void Free();

  size_t groups() const { return count_; }
  // Rows of group `g`, each as PutRow() wrote it.
  absl::Span<const char* const> rows(size_t g) const {
    const Group& group = groups_.as<Group>()[g];
    // After Build() `first` is the end of the group's rows in the order.
    return {order_.as<const char*>() + group.end - group.count, group.count};
  }
  // `row`, a place in rows() or behind it, is one in those of some group.
  bool has_row(const char* const* row) const { return row < order_.as<const char*>() + row_count_; }
  // -1 where it has none.
  ptrdiff_t Find(uint64_t hash, absl::string_view key) const;

 private:
  struct Group {
    union {
      const char* first;  // while it is built
      uint64_t end;       // then
    };
    uint32_t count;
    uint32_t tag;
  };
  absl::Status AssignGroups(absl::Span<const Page> pages, uint64_t rows, bool may_ask);
  absl::Status GrowSlots(size_t slots, bool may_ask);
  absl::Status GrowGroups(bool may_ask);
  // The group of `key`, a new one where there is none; -1 where memory has to grow.
  ptrdiff_t FindOrAdd(uint32_t tag, absl::string_view key, const char* row);

  Engine* const engine_;
  Buffer slots_;
  Buffer groups_;
  Buffer group_of_;
  Buffer order_;
  size_t slot_mask_ = 0;
  size_t max_groups_ = 0;  // of the slots
  size_t group_room_ = 0;
  size_t count_ = 0;
  uint64_t row_count_ = 0;
  uint64_t probes_ = 0;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_PARTITIONED_GROUP_TABLE_H_
