#include "cluster/coordinator/coordinator_file.h"

#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "cluster/coordinator/apply_transaction.h"
#include "cluster/coordinator/coordinator_file.pb.h"

namespace kvarts {
namespace {

// | magic 8 | checksum 8 | revision 8 | body |; the checksum is of all behind it.
constexpr absl::string_view kMagic = "kvcoord1";
constexpr size_t kChecksumAt = 8;
constexpr size_t kRevisionAt = 16;
constexpr size_t kBodyAt = 24;

uint64_t ChecksumOf(absl::string_view file) { return Checksum(file.substr(kRevisionAt)); }

}  // namespace

std::string SerializeCoordinatorFile(const Coordinator::Contents& contents) {
  cluster::CoordinatorFile body;
  for (const auto& [name, value] : contents.values) {
    cluster::CoordinatorFile::Value* const to = body.add_values();
    to->set_name(name);
    to->set_bytes(value.bytes);
    to->set_revision(value.revision);
  }
  std::string file(kMagic);
  AppendLE64(&file, 0);
  AppendLE64(&file, static_cast<uint64_t>(contents.revision));
  body.AppendToString(&file);
  StoreLE64(&file[kChecksumAt], ChecksumOf(file));
  return file;
}

absl::StatusOr<Coordinator::Contents> ParseCoordinatorFile(absl::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError("is no file of a coordinator, or of a later version");
  }
  if (bytes.size() < kBodyAt || LoadLE64(&bytes[kChecksumAt]) != ChecksumOf(bytes)) {
    return absl::DataLossError("is damaged: its checksum is another");
  }
  Coordinator::Contents contents;
  contents.revision = static_cast<int64_t>(LoadLE64(&bytes[kRevisionAt]));
  cluster::CoordinatorFile body;
  const absl::string_view rest = bytes.substr(kBodyAt);
  if (rest.size() > std::numeric_limits<int>::max() ||
      !body.ParseFromArray(rest.data(), static_cast<int>(rest.size()))) {
    return absl::DataLossError("is damaged: its body cannot be read");
  }
  for (cluster::CoordinatorFile::Value& value : *body.mutable_values()) {
    contents.values[value.name()] = {std::move(*value.mutable_bytes()), value.revision()};
  }
  return contents;
}

CoordinatorFile::CoordinatorFile(FileSystem* fs, std::string path)
    : fs_(fs), path_(std::move(path)) {}

absl::StatusOr<std::unique_ptr<FileLock>> CoordinatorFile::Lock() {
  auto lock = fs_->Lock(absl::StrCat(path_, ".lock"));
  if (absl::IsFailedPrecondition(lock.status())) {
    return absl::AbortedError(lock.status().message());
  }
  return lock;
}

absl::StatusOr<Coordinator::Contents> CoordinatorFile::Read() {
  // The file is replaced in one step, and what had been replaced before this began is not found any
  // more. So whoever would change something does not wait for all who look.
  KVARTS_ASSIGN_OR_RETURN(Found found, Find());
  KVARTS_RETURN_IF_ERROR(MakeDurable(found));
  return std::move(found.contents);
}

absl::StatusOr<Coordinator::Outcome> CoordinatorFile::Commit(
    const Coordinator::Transaction& transaction) {
  KVARTS_ASSIGN_OR_RETURN(const auto lock, Lock());
  KVARTS_ASSIGN_OR_RETURN(const Found found, Find());
  KVARTS_RETURN_IF_ERROR(MakeDurable(found));
  const Coordinator::Contents& contents = found.contents;
  if (!Holds(transaction, contents)) return Coordinator::Outcome();
  if (transaction.changes.empty()) return Coordinator::Outcome{true, contents.revision};
  return Replace(contents, transaction);
}

absl::StatusOr<CoordinatorFile::Found> CoordinatorFile::Find() {
  Found found;
  absl::StatusOr<std::string> bytes = ReadFile(fs_, path_);
  if (absl::IsNotFound(bytes.status())) {
    // Of a directory that is gone, with all that was decided, nobody must believe that it is empty.
    KVARTS_RETURN_IF_ERROR(fs_->SyncDir(DirName(path_)));
    return found;
  }
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<Coordinator::Contents> contents = ParseCoordinatorFile(*bytes);
  if (!contents.ok()) {
    return absl::DataLossError(absl::StrCat(path_, " ", contents.status().message()));
  }
  found.contents = *std::move(contents);
  found.checksum = LoadLE64(&(*bytes)[kChecksumAt]);
  return found;
}

// Its writer may have died, or failed, between the rename and the directory's sync. Who acted
// on what a power cut then takes back would act on a decision that was never made.
absl::Status CoordinatorFile::MakeDurable(const Found& found) {
  if (!found.checksum.has_value() || *found.checksum == durable_) return absl::OkStatus();
  KVARTS_RETURN_IF_ERROR(fs_->SyncDir(DirName(path_)));
  durable_ = *found.checksum;
  return absl::OkStatus();
}

absl::StatusOr<Coordinator::Outcome> CoordinatorFile::Replace(
    const Coordinator::Contents& before, const Coordinator::Transaction& transaction) {
  Coordinator::Contents contents = before;
  Apply(transaction, &contents);
  const std::string bytes = SerializeCoordinatorFile(contents);
  const absl::Status written = WriteFileAtomically(fs_, path_, bytes);
  const auto done = [&] {
    durable_ = LoadLE64(&bytes[kChecksumAt]);
    return Coordinator::Outcome{true, contents.revision};
  };
  if (written.ok()) return done();
  // An error of the rename, or behind it, does not say that nothing was done; the file does.
  const absl::StatusOr<std::string> now = ReadFile(fs_, path_);
  const bool absent = absl::IsNotFound(now.status()) && before.revision == 0;
  if (absent || (now.ok() && *now != bytes)) return absl::UnavailableError(written.message());
  if (now.ok() && fs_->SyncDir(DirName(path_)).ok()) return done();
  return absl::DeadlineExceededError(written.message());
}

int64_t CoordinatorFile::PeekRevision() {
  const auto file = fs_->OpenForRead(path_);
  if (absl::IsNotFound(file.status())) return 0;
  char start[kBodyAt];
  if (!file.ok()) return -1;
  const auto got = (*file)->Read(0, sizeof start, start);
  if (!got.ok() || *got != sizeof start) return -1;
  return static_cast<int64_t>(LoadLE64(&start[kRevisionAt]));
}

}  // namespace kvarts
