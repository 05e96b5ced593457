#include "storage/sstable/resident_reads.h"

#include <atomic>
#include <utility>

namespace kvarts::sstable {

ResidentReads::ResidentReads(const Sources& sources, TableCache* tables,
                             absl::Span<const absl::string_view> keys, Sequence at, bool for_stamp)
    : sources_(sources),
      tables_(tables),
      at_(at),
      for_stamp_(for_stamp),
      reader_(tables->cache()),
      reads_(keys.size()) {
  Open open;
  for (size_t i = 0; i < keys.size(); ++i) {
    reads_[i].key = keys[i];
    reads_[i].hash = KeyHash(keys[i]);
    open.Add(static_cast<uint8_t>(i));
  }
  LookInMemtables(&open);
  while (open.size > 0) LookInTables(&open);
}

ResidentReads::~ResidentReads() {
  if (filter_skips_ == 0) return;
  tables_->counters()->filter_skips.fetch_add(filter_skips_, std::memory_order_relaxed);
}

Pin ResidentReads::PinOf(size_t i) const {
  const Read& read = reads_[i];
  if (read.memtable != nullptr) return read.memtable->shared_from_this();
  return read.block == nullptr ? nullptr : read.block->shared_from_this();
}

bool ResidentReads::LookInMemtable(const Memtable& memtable, Read* read) const {
  Entry point;
  const bool has_point = memtable.Get(read->key, read->hash, at_, &point);
  if (has_point) read->memtable = &memtable;
  return read->found.Settle(has_point, point, memtable.Covering(read->key, at_), for_stamp_);
}

void ResidentReads::LookInMemtables(Open* open) {
  const Memtable& memtable = *sources_.memtable;
  if (memtable.empty() && sources_.frozen.empty()) return;
  for (const uint8_t i : *open) memtable.PrefetchPlace(reads_[i].hash);
  for (const uint8_t i : *open) memtable.PrefetchNode(reads_[i].hash);
  Open rest;
  for (const uint8_t i : *open) {
    Read& read = reads_[i];
    read.settled = LookInMemtable(memtable, &read);
    for (const auto& frozen : sources_.frozen) {
      if (read.settled) break;
      read.settled = LookInMemtable(*frozen, &read);
    }
    if (!read.settled) rest.Add(i);
  }
  *open = rest;
}

const TableFile* ResidentReads::NextFile(Read* read) const {
  const Version& version = *sources_.version;
  if (read->level == 0) {
    const auto& files = version.level(0);
    while (read->place < files.size()) {
      const TableFile& file = *files[read->place++];
      if (file.info().Contains(read->key)) return &file;
    }
    read->level = 1;
  }
  while (read->level < kLevels) {
    const TableFile* const file = version.Find(read->level++, read->key);
    if (file != nullptr) return file;
  }
  return nullptr;
}

const Table* ResidentReads::FindTable(const TableFile& file) {
  if (&file != last_file_) {
    last_table_ = static_cast<const Table*>(reader_.Find(TableCache::IndexKey(file.info())));
    last_file_ = &file;
  }
  return last_table_;
}

// For the reads to come: this one goes on with the block that it has.
void ResidentReads::LayOut(const Read& read) {
  auto laid_out = read.block->LayOut();
  const size_t bytes = laid_out->memory_bytes();
  tables_->cache()->Replace(read.search.key, std::move(laid_out), bytes);
}

void ResidentReads::LookInTables(Open* open) {
  Open filtered;
  for (const uint8_t i : *open) {
    Read& read = reads_[i];
    const TableFile* const file = NextFile(&read);
    if (file == nullptr) {
      read.settled = true;  // it is nowhere
      continue;
    }
    read.table = FindTable(*file);
    if (read.table == nullptr) continue;
    read.table->PrefetchFilter(read.hash);
    filtered.Add(i);
  }
  Open rest;
  Open found;
  for (const uint8_t i : filtered) {
    Read& read = reads_[i];
    const Table& table = *read.table;
    read.covering = table.ranges()->empty() ? 0 : table.ranges()->Covering(read.key, at_);
    if (!table.MayContain(read.hash)) {
      ++filter_skips_;
      read.settled = read.found.Settle(false, Entry(), read.covering, for_stamp_);
      if (!read.settled) rest.Add(i);
      continue;
    }
    read.group = table.FindGroup(read.key);
    table.PrefetchGroup(read.group);
    found.Add(i);
  }
  for (const uint8_t i : found) {
    Read& read = reads_[i];
    read.search = reader_.Begin(read.table->BlockKey(read.table->FindBlock(read.group, read.key)));
  }
  for (const uint8_t i : found) reader_.PrefetchPiece(reads_[i].search);
  Open blocks;
  for (const uint8_t i : found) {
    Read& read = reads_[i];
    read.block = static_cast<const Block*>(reader_.Find(read.search));
    if (read.block == nullptr) continue;
    read.block->PrefetchSlot(read.hash);
    blocks.Add(i);
  }
  for (const uint8_t i : blocks) reads_[i].block->PrefetchEntry(reads_[i].hash);
  for (const uint8_t i : blocks) {
    Read& read = reads_[i];
    Entry point;
    if (!read.block->is_laid_out() && read.block->PaysToLayOut()) LayOut(read);
    const bool has_point = read.table->GetFrom(*read.block, read.key, read.hash, at_, &point);
    read.settled = read.found.Settle(has_point, point, read.covering, for_stamp_);
    if (!read.settled) rest.Add(i);
  }
  *open = rest;
}

}  // namespace kvarts::sstable
