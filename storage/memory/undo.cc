#include "storage/memory/undo.h"

#include <utility>

namespace kvarts::memory_internal {
namespace {

constexpr size_t kNodeBytes = 64;  // of the map and the heap, about

bool IsOf(const char* record, const TableKey& key) {
  const RecordLayout layout = RecordLayout::At(record);
  return layout.header.has(RecordHeader::kUuid) == key.is_uuid() &&
         absl::string_view(record + layout.key, layout.key_size) == key.bytes();
}

}  // namespace

Undo::~Undo() {
  for (const auto& [hash, record] : records_) {
    const RecordLayout layout = RecordLayout::At(record.get());
    if (layout.header.has(RecordHeader::kBlob)) layout.BlobOf(record.get())->Unref();
  }
}

size_t Undo::MemoryBytes(const char* record) {
  const RecordLayout layout = RecordLayout::At(record);
  const bool has_blob = layout.header.has(RecordHeader::kBlob);
  return kNodeBytes + layout.bytes +
         (has_blob ? Blob::MemoryBytes(layout.BlobOf(record)->size) : 0);
}

void Undo::Note(const TableKey& key, const Chunk::Place* old) {
  const auto [begin, end] = records_.equal_range(key.hash);
  for (auto it = begin; it != end; ++it) {
    if (IsOf(it->second.get(), key)) return;
  }
  Record record;
  if (old != nullptr) {
    record.reset(new char[old->layout.bytes]);  // NOLINT(modernize-make-unique)
    LoadBytes(old->record, old->layout.bytes, record.get());
    if (old->layout.header.has(RecordHeader::kBlob)) old->layout.BlobOf(record.get())->Ref();
  } else {
    uint32_t flags = RecordHeader::kDead;
    if (key.is_uuid()) flags |= RecordHeader::kUuid;
    const absl::string_view bytes = key.bytes();
    const RecordLayout layout = RecordLayout::For(flags, 0, bytes.size(), 0);
    record.reset(new char[layout.bytes]);  // NOLINT(modernize-make-unique)
    Store32(record.get(), layout.header.word());
    if (layout.header.short_key() == RecordHeader::kLongKey) {
      Store32(record.get() + 4, static_cast<uint32_t>(bytes.size()));
    }
    StoreBytes(record.get() + layout.key, bytes);
  }
  memory_ += MemoryBytes(record.get());
  records_.emplace(key.hash, std::move(record));
}

void Undo::MoveUpper(uint64_t bit, Undo* upper) {
  for (auto it = records_.begin(); it != records_.end();) {
    if ((it->first & bit) == 0) {
      ++it;
      continue;
    }
    const size_t bytes = MemoryBytes(it->second.get());
    memory_ -= bytes;
    upper->memory_ += bytes;
    upper->records_.insert(records_.extract(it++));
  }
}

void Undo::ForEach(absl::FunctionRef<void(const TableKey& key, const char* record)> visit) const {
  for (const auto& [hash, record] : records_) {
    const RecordLayout layout = RecordLayout::At(record.get());
    absl::string_view bytes(record.get() + layout.key, layout.key_size);
    char text[kUuidTextBytes];
    if (layout.header.has(RecordHeader::kUuid)) {
      UnpackUuid(bytes.data(), text);
      bytes = absl::string_view(text, kUuidTextBytes);
    }
    TableKey key;
    key.Set(bytes, hash);
    visit(key, record.get());
  }
}

}  // namespace kvarts::memory_internal
