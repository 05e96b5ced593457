#include "groupby/partitioned/group_table.h"

#include <algorithm>
#include <cstring>

#include "absl/numeric/bits.h"
#include "base/prefetch.h"
#include "base/status_macros.h"
#include "groupby/partitioned/row.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kMinSlots = 1024;
// Rows that are looked up together, so that their cache misses overlap.
constexpr size_t kBlock = 32;
// More slots looked at than this for a row, on average: keys were made to collide.
constexpr uint64_t kMaxProbes = 64;

constexpr size_t MaxGroups(size_t slots) { return slots / 8 * 5; }

size_t SlotsFor(size_t groups) {
  size_t slots = kMinSlots;
  while (MaxGroups(slots) < groups) slots *= 2;
  return slots;
}

absl::string_view KeyAt(const char* row) {
  KeyValue parsed;
  // Its page was read through before.
  GetRow(row, row + Grouping::kMaxRowBytes + 16, &parsed);
  return parsed.key;
}

}  // namespace

size_t GroupTable::MaxBytes(uint64_t rows) {
  return rows * (sizeof(uint32_t) + sizeof(const char*) + sizeof(Group)) +
         SlotsFor(rows) * sizeof(uint64_t);
}

absl::Status GroupTable::GrowSlots(size_t slots, bool may_ask) {
  KVARTS_RETURN_IF_ERROR(engine_->Resize(&slots_, slots * sizeof(uint64_t), may_ask));
  slot_mask_ = slots - 1;
  max_groups_ = MaxGroups(slots);
  uint64_t* const table = slots_.as<uint64_t>();
  std::memset(table, 0, slots * sizeof(uint64_t));
  const Group* const groups = groups_.as<Group>();
  for (size_t g = 0; g < count_; ++g) {
    size_t i = groups[g].tag & slot_mask_;
    while (table[i] != 0) i = (i + 1) & slot_mask_;
    table[i] = uint64_t{groups[g].tag} << 32 | (g + 1);
  }
  return absl::OkStatus();
}

absl::Status GroupTable::GrowGroups(bool may_ask) {
  KVARTS_RETURN_IF_ERROR(engine_->Grow(&groups_, 2 * group_room_ * sizeof(Group), may_ask));
  group_room_ *= 2;
  return absl::OkStatus();
}

ptrdiff_t GroupTable::FindOrAdd(uint32_t tag, absl::string_view key, const char* row) {
  uint64_t* const table = slots_.as<uint64_t>();
  Group* const groups = groups_.as<Group>();
  for (size_t i = tag & slot_mask_;; i = (i + 1) & slot_mask_) {
    ++probes_;
    const uint64_t slot = table[i];
    if (slot == 0) {
      if (count_ == max_groups_ || count_ == group_room_) return -1;
      groups[count_].first = row;
      groups[count_].count = 0;
      groups[count_].tag = tag;
      table[i] = uint64_t{tag} << 32 | (count_ + 1);
      return static_cast<ptrdiff_t>(count_++);
    }
    if (slot >> 32 != tag) continue;
    const size_t g = (slot & 0xffffffff) - 1;
    if (KeyAt(groups[g].first) == key) return static_cast<ptrdiff_t>(g);
  }
}

absl::Status GroupTable::AssignGroups(absl::Span<const Page> pages, uint64_t rows, bool may_ask) {
  uint32_t* group_of = group_of_.as<uint32_t>();
  struct {
    const char* row;
    absl::string_view key;
    uint32_t tag;
    ptrdiff_t group;
  } block[kBlock];
  uint64_t done = 0;
  for (const Page& page : pages) {
    const char* p = page.begin();
    while (p < page.end()) {
      size_t n = 0;
      for (; n < kBlock && p < page.end(); ++n) {
        KeyValue row;
        block[n].row = p;
        p = GetRow(p, page.end(), &row);
        if (p == nullptr) return absl::DataLossError("a page of rows is damaged");
        block[n].key = row.key;
        block[n].tag = static_cast<uint32_t>(HashKey(row.key));
        PrefetchRead(slots_.as<uint64_t>() + (block[n].tag & slot_mask_));
      }
      // The likely group, by the tag alone.
      for (size_t k = 0; k < n; ++k) {
        const uint64_t slot = slots_.as<uint64_t>()[block[k].tag & slot_mask_];
        block[k].group = -1;
        if (slot != 0 && slot >> 32 == block[k].tag) {
          block[k].group = static_cast<ptrdiff_t>((slot & 0xffffffff) - 1);
          PrefetchRead(groups_.as<Group>() + block[k].group);
        }
      }
      for (size_t k = 0; k < n; ++k) {
        if (block[k].group >= 0) PrefetchRead(groups_.as<Group>()[block[k].group].first);
      }
      for (size_t k = 0; k < n; ++k) {
        ptrdiff_t g = block[k].group;
        if (g >= 0 && KeyAt(groups_.as<Group>()[g].first) == block[k].key) {
          ++probes_;
        } else {
          while ((g = FindOrAdd(block[k].tag, block[k].key, block[k].row)) < 0) {
            if (count_ == group_room_) KVARTS_RETURN_IF_ERROR(GrowGroups(may_ask));
            if (count_ == max_groups_) {
              KVARTS_RETURN_IF_ERROR(GrowSlots(2 * (slot_mask_ + 1), may_ask));
            }
          }
        }
        ++groups_.as<Group>()[g].count;
        if (done == rows) return absl::DataLossError("pages hold more rows than were added");
        group_of[done++] = static_cast<uint32_t>(g);
      }
      if (probes_ > kMaxProbes * (done + kMinSlots)) {
        return absl::AbortedError("too many keys have hashes alike");
      }
    }
  }
  if (done != rows) return absl::DataLossError("pages hold fewer rows than were added");
  return absl::OkStatus();
}

absl::Status GroupTable::Build(absl::Span<const Page> pages, uint64_t rows, bool may_ask) {
  count_ = 0;
  row_count_ = rows;
  probes_ = 0;
  const size_t guess = std::max<size_t>(rows / 2, 512);
  KVARTS_RETURN_IF_ERROR(engine_->Resize(&group_of_, rows * sizeof(uint32_t), may_ask));
  KVARTS_RETURN_IF_ERROR(engine_->Resize(&order_, rows * sizeof(const char*), may_ask));
  KVARTS_RETURN_IF_ERROR(engine_->Resize(&groups_, guess * sizeof(Group), may_ask));
  group_room_ = groups_.size() / sizeof(Group);
  KVARTS_RETURN_IF_ERROR(GrowSlots(SlotsFor(guess), may_ask));
  const absl::Status status = AssignGroups(pages, rows, may_ask);
  engine_->counters().probes.fetch_add(probes_, std::memory_order_relaxed);
  KVARTS_RETURN_IF_ERROR(status);

  Group* const groups = groups_.as<Group>();
  uint64_t next = 0;
  for (size_t g = 0; g < count_; ++g) {
    groups[g].end = next;
    next += groups[g].count;
  }
  const char** const order = order_.as<const char*>();
  const uint32_t* group_of = group_of_.as<uint32_t>();
  KeyValue row;
  for (const Page& page : pages) {
    for (const char* p = page.begin(); p < page.end();) {
      order[groups[*group_of++].end++] = p;
      p = GetRow(p, page.end(), &row);
    }
  }
  return absl::OkStatus();
}

void GroupTable::Free() {
  count_ = 0;
  slots_.Free();
  groups_.Free();
  group_of_.Free();
  order_.Free();
}

ptrdiff_t GroupTable::Find(uint64_t hash, absl::string_view key) const {
  if (count_ == 0) return -1;
  const auto tag = static_cast<uint32_t>(hash);
  for (size_t i = tag & slot_mask_;; i = (i + 1) & slot_mask_) {
    const uint64_t slot = slots_.as<uint64_t>()[i];
    if (slot == 0) return -1;
    const size_t g = (slot & 0xffffffff) - 1;
    if (slot >> 32 == tag && KeyAt(rows(g)[0]) == key) return static_cast<ptrdiff_t>(g);
  }
}

}  // namespace kvarts::groupby_internal
