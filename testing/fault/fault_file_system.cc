#include "testing/fault/fault_file_system.h"

#include <string>
#include <utility>

#include "absl/types/optional.h"
#include "base/status_macros.h"
#include "testing/fault/fault_rules.h"

namespace kvarts {
namespace {

using Kind = FileOperation::Kind;
using Rules = std::shared_ptr<FaultRules>;

class FaultWritableFile : public WritableFile {
 public:
  FaultWritableFile(std::unique_ptr<WritableFile> base, Rules rules, absl::string_view path)
      : base_(std::move(base)), rules_(std::move(rules)), path_(path) {}

  absl::Status Append(absl::string_view bytes) override {
    return Write({Kind::kAppend, path_, {}, bytes.size()}, bytes,
                 [this](absl::string_view part) { return base_->Append(part); });
  }

  absl::Status WriteAt(uint64_t offset, absl::string_view bytes) override {
    return Write({Kind::kWriteAt, path_, {}, bytes.size()}, bytes,
                 [&](absl::string_view part) { return base_->WriteAt(offset, part); });
  }

  absl::Status Sync() override {
    const FileOperation operation{Kind::kSync, path_, {}, 0};
    const absl::optional<Fault> fault = rules_->Next(operation);
    if (fault == Fault::kSyncLosesPages) Lose();
    if (!fault.has_value()) KVARTS_RETURN_IF_ERROR(TakeLateError(operation));
    return WithFault(fault, operation, [this] { return base_->Sync(); });
  }

  absl::Status Preallocate(uint64_t size) override {
    const FileOperation operation{Kind::kPreallocate, path_, {}, size};
    return WithFault(rules_->Next(operation), operation, [&] { return base_->Preallocate(size); });
  }

  absl::Status Truncate(uint64_t size) override {
    const FileOperation operation{Kind::kTruncate, path_, {}, size};
    return WithFault(rules_->Next(operation), operation, [&] { return base_->Truncate(size); });
  }

  absl::Status Close() override {
    const FileOperation operation{Kind::kClose, path_, {}, 0};
    const absl::optional<Fault> fault = rules_->Next(operation);
    if (fault == Fault::kSyncLosesPages) Lose();
    // It closes whatever it reports, as close(2) does.
    const absl::Status closed = base_->Close();
    if (fault.has_value()) return FaultStatus(*fault, operation);
    KVARTS_RETURN_IF_ERROR(TakeLateError(operation));
    return closed;
  }

 private:
  absl::Status Write(const FileOperation& operation, absl::string_view bytes,
                     absl::FunctionRef<absl::Status(absl::string_view)> write) {
    const absl::optional<Fault> fault = rules_->Next(operation);
    if (fault == Fault::kShortWrite) {
      KVARTS_RETURN_IF_ERROR(write(bytes.substr(0, bytes.size() / 2)));
      return FaultStatus(*fault, operation);
    }
    if (fault == Fault::kLateError) {
      KVARTS_RETURN_IF_ERROR(write(bytes));
      Lose();
      late_error_ = true;
      return absl::OkStatus();
    }
    return WithFault(fault, operation, [&] { return write(bytes); });
  }

  void Lose() {
    if (rules_->lose_unsynced) rules_->lose_unsynced(base_.get());
  }

  absl::Status TakeLateError(const FileOperation& operation) {
    if (!std::exchange(late_error_, false)) return absl::OkStatus();
    return FaultStatus(Fault::kLateError, operation);
  }

  const std::unique_ptr<WritableFile> base_;
  const Rules rules_;
  const std::string path_;
  bool late_error_ = false;
};

class FaultRandomAccessFile : public RandomAccessFile {
 public:
  FaultRandomAccessFile(std::unique_ptr<RandomAccessFile> base, Rules rules, absl::string_view path)
      : base_(std::move(base)), rules_(std::move(rules)), path_(path) {}

  absl::StatusOr<size_t> Read(uint64_t offset, size_t size, char* scratch) const override {
    const FileOperation operation{Kind::kRead, path_, {}, size};
    if (const auto fault = rules_->Next(operation)) return FaultStatus(*fault, operation);
    return base_->Read(offset, size, scratch);
  }

  absl::StatusOr<uint64_t> Size() const override {
    const FileOperation operation{Kind::kSize, path_, {}, 0};
    if (const auto fault = rules_->Next(operation)) return FaultStatus(*fault, operation);
    return base_->Size();
  }

 private:
  const std::unique_ptr<RandomAccessFile> base_;
  const Rules rules_;
  const std::string path_;
};

}  // namespace

FaultFileSystem::FaultFileSystem(FileSystem* base, LoseUnsynced lose_unsynced)
    : base_(base), rules_(std::make_shared<FaultRules>(std::move(lose_unsynced))) {}
FaultFileSystem::~FaultFileSystem() = default;

void FaultFileSystem::SetRule(FaultRule rule) { rules_->Set(std::move(rule)); }
void FaultFileSystem::ClearRule() { rules_->Set(absl::nullopt); }
uint64_t FaultFileSystem::matched() const { return rules_->matched(); }
uint64_t FaultFileSystem::injected() const { return rules_->injected(); }
uint64_t FaultFileSystem::operations() const { return rules_->operations(); }

absl::StatusOr<std::unique_ptr<WritableFile>> FaultFileSystem::OpenForWrite(absl::string_view path,
                                                                            Create create) {
  const FileOperation operation{Kind::kOpenForWrite, path, {}, 0};
  std::unique_ptr<WritableFile> file;
  KVARTS_RETURN_IF_ERROR(WithFault(rules_->Next(operation), operation, [&] {
    auto opened = base_->OpenForWrite(path, create);
    if (!opened.ok()) return opened.status();
    file = *std::move(opened);
    return absl::OkStatus();
  }));
  return std::make_unique<FaultWritableFile>(std::move(file), rules_, path);
}

absl::StatusOr<std::unique_ptr<RandomAccessFile>> FaultFileSystem::OpenForRead(
    absl::string_view path) {
  const FileOperation operation{Kind::kOpenForRead, path, {}, 0};
  if (const auto fault = rules_->Next(operation)) return FaultStatus(*fault, operation);
  KVARTS_ASSIGN_OR_RETURN(auto file, base_->OpenForRead(path));
  return std::make_unique<FaultRandomAccessFile>(std::move(file), rules_, path);
}

absl::StatusOr<std::shared_ptr<MappedFile>> FaultFileSystem::Map(absl::string_view path) {
  const FileOperation operation{Kind::kMap, path, {}, 0};
  if (const auto fault = rules_->Next(operation)) return FaultStatus(*fault, operation);
  return base_->Map(path);
}

absl::StatusOr<FileInfo> FaultFileSystem::Stat(absl::string_view path) {
  const FileOperation operation{Kind::kStat, path, {}, 0};
  if (const auto fault = rules_->Next(operation)) return FaultStatus(*fault, operation);
  return base_->Stat(path);
}

absl::Status FaultFileSystem::Rename(absl::string_view from, absl::string_view to) {
  const FileOperation operation{Kind::kRename, from, to, 0};
  return WithFault(rules_->Next(operation), operation, [&] { return base_->Rename(from, to); });
}

absl::Status FaultFileSystem::Link(absl::string_view from, absl::string_view to) {
  const FileOperation operation{Kind::kLink, from, to, 0};
  return WithFault(rules_->Next(operation), operation, [&] { return base_->Link(from, to); });
}

absl::Status FaultFileSystem::Delete(absl::string_view path) {
  const FileOperation operation{Kind::kDelete, path, {}, 0};
  return WithFault(rules_->Next(operation), operation, [&] { return base_->Delete(path); });
}

absl::Status FaultFileSystem::CreateDir(absl::string_view path, bool is_private) {
  const FileOperation operation{Kind::kCreateDir, path, {}, 0};
  return WithFault(rules_->Next(operation), operation,
                   [&] { return base_->CreateDir(path, is_private); });
}

absl::Status FaultFileSystem::DeleteDir(absl::string_view path) {
  const FileOperation operation{Kind::kDeleteDir, path, {}, 0};
  return WithFault(rules_->Next(operation), operation, [&] { return base_->DeleteDir(path); });
}

absl::StatusOr<std::vector<std::string>> FaultFileSystem::List(absl::string_view path) {
  const FileOperation operation{Kind::kList, path, {}, 0};
  if (const auto fault = rules_->Next(operation)) return FaultStatus(*fault, operation);
  return base_->List(path);
}

absl::Status FaultFileSystem::SyncDir(absl::string_view path) {
  const FileOperation operation{Kind::kSyncDir, path, {}, 0};
  return WithFault(rules_->Next(operation), operation, [&] { return base_->SyncDir(path); });
}

absl::StatusOr<std::unique_ptr<FileLock>> FaultFileSystem::Lock(absl::string_view path) {
  const FileOperation operation{Kind::kLock, path, {}, 0};
  std::unique_ptr<FileLock> held;
  KVARTS_RETURN_IF_ERROR(WithFault(rules_->Next(operation), operation, [&] {
    auto locked = base_->Lock(path);
    if (!locked.ok()) return locked.status();
    held = *std::move(locked);
    return absl::OkStatus();
  }));
  return held;
}

absl::StatusOr<uint64_t> FaultFileSystem::FreeSpace(absl::string_view path) {
  rules_->Next({Kind::kFreeSpace, path, {}, 0});
  return base_->FreeSpace(path);
}

absl::StatusOr<bool> FaultFileSystem::IsRemote(absl::string_view path) {
  return base_->IsRemote(path);
}

}  // namespace kvarts
