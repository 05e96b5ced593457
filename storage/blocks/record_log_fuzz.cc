// Any bytes as a log. The first byte says what the rest is: a file, as it is or behind a good
// header; fragments with good checksums, in any order and of any type; or records, and damage to
// them. What is read is never more than was written, and never in another order.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/coding.h"
#include "storage/blocks/record_log.h"
#include "storage/fs/memory.h"

namespace kvarts {
namespace {

constexpr char kPath[] = "log";
constexpr uint64_t kNumber = 1;
constexpr uint64_t kSalt = 0x1122334455667788;

void Check(bool good) {
  if (!good) std::abort();
}

std::string GoodHeader() {
  std::string out = "kvartlog";
  AppendLE32(&out, 1);
  AppendLE32(&out, 1);
  AppendLE64(&out, kNumber);
  AppendLE64(&out, 1);
  AppendLE64(&out, 0);
  AppendLE64(&out, 0);
  AppendLE64(&out, kSalt);
  AppendLE64(&out, Checksum(out));
  return out;
}

// The records of a file; where all of it is known, these must be its first ones.
void Read(const std::string& bytes, const std::vector<std::string>* known) {
  MemoryFileSystem fs;
  {
    auto file = fs.OpenForWrite(kPath, FileSystem::Create::kNew).value();
    Check(file->Append(bytes).ok());
  }
  auto reader = RecordLogReader::Open(&fs, kPath, RecordLogHeader::Kind::kWriteLog, kNumber);
  if (!reader.ok()) return;
  size_t n = 0;
  while (true) {
    absl::string_view record;
    const auto more = (*reader)->Next(&record);
    Check((*reader)->promised() <= bytes.size());
    Check((*reader)->good_size() <= std::max<uint64_t>(bytes.size(), GoodHeader().size()));
    if (!more.ok() || !*more) break;
    Check(known == nullptr || (n < known->size() && (*known)[n] == record));
    ++n;
  }
  absl::string_view record;
  const auto again = (*reader)->Next(&record);
  Check(!again.ok() || !*again);
}

void ReadFragments(ByteReader in) {
  std::string bytes = GoodHeader();
  while (in.ok() && !in.done()) {
    const unsigned char type = in.Byte();
    // Zeros to the end of the block, or a fragment.
    if (type >= 0xf0) {
      bytes.resize((bytes.size() / (32 << 10) + 1) * (32 << 10));
      if (bytes.size() > 300 << 10) break;
      continue;
    }
    const absl::string_view body = in.Sized();
    std::string covered = {static_cast<char>(body.size()), static_cast<char>(body.size() >> 8),
                           static_cast<char>(type % 6)};
    covered.append(body.data(), body.size());
    AppendLE32(&bytes, static_cast<uint32_t>(
                           Checksum(covered, kSalt ^ (bytes.size() * 0x9e3779b97f4a7c15))));
    bytes += covered;
  }
  Read(bytes, nullptr);
}

void ReadDamaged(ByteReader in) {
  MemoryFileSystem fs;
  RecordLogHeader header;
  header.number = kNumber;
  auto log = RecordLogWriter::Create(&fs, kPath, header).value();
  std::vector<std::string> records;
  for (unsigned char n = in.Byte() % 12; n > 0; --n) {
    const uint64_t size = in.Varint() % (70 << 10);
    records.emplace_back(size, static_cast<char>(in.Byte()));
    log->Add(records.back());
    if (n % 3 != 0) Check(log->Flush().ok() && log->Sync().ok());
  }
  Check(log->Flush().ok());
  std::string bytes = *ReadFile(&fs, kPath);
  while (in.ok() && !in.done()) {
    const uint64_t at = in.Varint() % bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ in.Byte());
  }
  Read(bytes, &records);
}

}  // namespace
}  // namespace kvarts

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      kvarts::Read(std::string(bytes), nullptr);
      break;
    case 1:
      kvarts::Read(kvarts::GoodHeader() + std::string(bytes), nullptr);
      break;
    case 2:
      kvarts::ReadFragments(kvarts::ByteReader(bytes));
      break;
    default:
      kvarts::ReadDamaged(kvarts::ByteReader(bytes));
      break;
  }
  return 0;
}
