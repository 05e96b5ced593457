// Any bytes as the record of a batch, and as the records of a log that is replayed: they are
// refused, or come back as they were.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/coding.h"
#include "storage/blocks/record_log.h"
#include "storage/fs/memory.h"
#include "storage/sstable/log_set.h"

namespace kvarts::sstable {
namespace {

void Check(bool good) {
  if (!good) std::abort();
}

void DecodeOne(absl::string_view record) {
  std::vector<Entry> entries;
  if (!DecodeLogRecord(record, &entries)) return;
  const std::string again = EncodeLogRecord(entries);
  std::vector<Entry> decoded;
  Check(DecodeLogRecord(again, &decoded));
  Check(decoded.size() == entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    Check(entries[i].key == decoded[i].key && entries[i].blob == decoded[i].blob &&
          entries[i].trailer == decoded[i].trailer);
    Check(i == 0 || entries[i].sequence() == entries[i - 1].sequence() + 1);
  }
}

// Two logs of these records.
void Replay(ByteReader in) {
  MemoryFileSystem fs;
  std::vector<uint64_t> numbers;
  const Sequence first = 1 + in.Byte();
  for (uint64_t number = 1; number <= 2; ++number) {
    RecordLogHeader header;
    header.number = number;
    header.first = number == 1 ? first : first + in.Byte();
    header.previous = number - 1;
    header.previous_synced = number == 1 ? 0 : 2 * in.Byte();
    auto log = RecordLogWriter::Create(&fs, LogPath("/", number), header).value();
    for (unsigned char n = in.Byte() % 8; n > 0 && in.ok(); --n) {
      const absl::string_view record = in.Sized();
      DecodeOne(record);
      log->Add(record);
      if (n % 2 == 0) Check(log->Flush().ok() && log->Sync().ok());
    }
    Check(log->Flush().ok());
    numbers.push_back(number);
  }
  Sequence next = first;
  const auto last = ReplayLogs(&fs, "/", 1, first, numbers, [&](absl::Span<const Entry> batch) {
    for (const Entry& entry : batch) Check(entry.sequence() == next++);
    return absl::OkStatus();
  });
  Check(!last.ok() || *last == next - 1);
  std::string text;
  DescribeLog(&fs, LogPath("/", 1), 1, &text).IgnoreError();
}

}  // namespace
}  // namespace kvarts::sstable

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    kvarts::sstable::DecodeOne(bytes);
  } else {
    kvarts::sstable::Replay(kvarts::ByteReader(bytes));
  }
  return 0;
}
