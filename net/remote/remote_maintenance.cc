#include "net/remote/remote_maintenance.h"

#include <string>
#include <utility>

#include "base/status_macros.h"
#include "storage/store.h"

namespace kvarts {
namespace remote {
namespace {

native::Maintain Work(native::Maintain::Work work, const KeyRange& range = {}) {
  native::Maintain out;
  out.set_work(work);
  out.set_begin(range.begin);
  out.set_end(range.end);
  return out;
}

}  // namespace

void RemoteMaintenance::Close() {
  std::shared_ptr<Link> link;
  MutexLock lock(&mu_);
  link_.swap(link);
}

absl::StatusOr<native::Maintained> RemoteMaintenance::Ask(const native::Maintain& work) {
  std::shared_ptr<Link> link;
  {
    MutexLock lock(&mu_);
    link = link_;
  }
  if (link == nullptr) return ClosedError();
  const absl::Duration timeout = absl::InfiniteDuration();
  native::Request request = link->NewRequest(native::MAINTAIN, timeout);
  *request.mutable_maintain() = work;
  KVARTS_ASSIGN_OR_RETURN(native::Response response, link->Ask(request, timeout));
  return std::move(*response.mutable_maintained());
}

absl::Status RemoteMaintenance::Flush() { return Ask(Work(native::Maintain::FLUSH)).status(); }

absl::Status RemoteMaintenance::Compact(const KeyRange& range) {
  return Ask(Work(native::Maintain::COMPACT, range)).status();
}

absl::StatusOr<uint64_t> RemoteMaintenance::ApproximateBytes(const KeyRange& range) {
  KVARTS_ASSIGN_OR_RETURN(const native::Maintained answer,
                          Ask(Work(native::Maintain::APPROXIMATE_BYTES, range)));
  return answer.bytes();
}

absl::StatusOr<Maintenance::VerifyReport> RemoteMaintenance::Verify() {
  KVARTS_ASSIGN_OR_RETURN(const native::Maintained answer, Ask(Work(native::Maintain::VERIFY)));
  return VerifyReport{answer.files(), answer.bytes(), answer.entries()};
}

absl::StatusOr<std::string> RemoteMaintenance::Checkpoint(absl::string_view name) {
  native::Maintain work = Work(native::Maintain::CHECKPOINT);
  work.set_name(std::string(name));
  KVARTS_ASSIGN_OR_RETURN(const native::Maintained answer, Ask(work));
  return std::string(answer.path());
}

absl::StatusOr<Maintenance::IndexReport> RemoteMaintenance::AskOfIndex(
    native::Maintain::Work of_index, absl::string_view name) {
  native::Maintain work = Work(of_index);
  work.set_name(std::string(name));
  KVARTS_ASSIGN_OR_RETURN(const native::Maintained answer, Ask(work));
  return IndexReport{answer.tables(), answer.keys(), answer.bytes(), answer.from_file()};
}

absl::StatusOr<Maintenance::IndexReport> RemoteMaintenance::LoadIndex() {
  return AskOfIndex(native::Maintain::LOAD_INDEX, "");
}

absl::StatusOr<Maintenance::IndexReport> RemoteMaintenance::SaveIndexSnapshot(
    absl::string_view path) {
  return AskOfIndex(native::Maintain::SAVE_INDEX_SNAPSHOT, path);
}

absl::StatusOr<Maintenance::IndexReport> RemoteMaintenance::LoadIndexSnapshot(
    absl::string_view path) {
  return AskOfIndex(native::Maintain::LOAD_INDEX_SNAPSHOT, path);
}

}  // namespace remote
}  // namespace kvarts
