#include "cluster/node/node_file.h"

#include <random>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/slot.h"
#include "base/status_macros.h"
#include "cluster/table.pb.h"

namespace kvarts {
namespace cluster {
namespace {

// The file is this, eight bytes of the checksum of what follows (little-endian), and a
// NodeFileRecord.
constexpr absl::string_view kMagic = "kvnode1\n";
constexpr size_t kChecksumBytes = 8;

std::string ChecksumOf(absl::string_view bytes) {
  uint64_t sum = Checksum(bytes);
  std::string text;
  for (size_t i = 0; i < kChecksumBytes; ++i, sum >>= 8) text.push_back(static_cast<char>(sum));
  return text;
}

}  // namespace

Incarnation NewIncarnation() {
  std::random_device random;
  Incarnation incarnation;
  for (int i = 0; i < 5; ++i) {
    uint32_t word = random();
    for (int j = 0; j < 4; ++j, word >>= 8) incarnation.push_back(static_cast<char>(word));
  }
  return incarnation;
}

absl::StatusOr<std::optional<NodeFile>> ReadNodeFile(FileSystem* fs, absl::string_view path) {
  absl::StatusOr<std::string> bytes = ReadFile(fs, path);
  if (absl::IsNotFound(bytes.status())) return std::optional<NodeFile>();
  KVARTS_RETURN_IF_ERROR(bytes.status());
  const auto damaged = [path](absl::string_view what) {
    return absl::DataLossError(absl::StrCat(path, ": ", what,
                                            "; the node's data cannot be told from those of "
                                            "another one, and are left as they are"));
  };
  const absl::string_view all = *bytes;
  if (!absl::StartsWith(all, kMagic)) return damaged("not a node's file of a version known here");
  if (all.size() < kMagic.size() + kChecksumBytes) return damaged("cut short");
  const absl::string_view body = all.substr(kMagic.size() + kChecksumBytes);
  if (all.substr(kMagic.size(), kChecksumBytes) != ChecksumOf(body)) {
    return damaged("its checksum does not match");
  }
  NodeFileRecord record;
  if (!record.ParseFromArray(body.data(), static_cast<int>(body.size())) ||
      record.incarnation().size() != 20) {
    return damaged("its record is malformed");
  }
  NodeFile file;
  file.incarnation = record.incarnation();
  file.openings = record.openings();
  for (const uint32_t slot : record.marked_slots()) {
    if (slot >= kSlots) return damaged("it names a slot that there is not");
    file.marked_slots.push_back(static_cast<uint16_t>(slot));
  }
  return std::optional<NodeFile>(std::move(file));
}

absl::Status WriteNodeFile(FileSystem* fs, absl::string_view path, const NodeFile& file) {
  NodeFileRecord record;
  record.set_incarnation(file.incarnation);
  record.set_openings(file.openings);
  for (const uint16_t slot : file.marked_slots) record.add_marked_slots(slot);
  const std::string body = record.SerializeAsString();
  return WriteFileAtomically(fs, path, absl::StrCat(kMagic, ChecksumOf(body), body));
}

}  // namespace cluster
}  // namespace kvarts
