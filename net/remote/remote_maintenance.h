#ifndef KVARTS_NET_REMOTE_REMOTE_MAINTENANCE_H_
#define KVARTS_NET_REMOTE_REMOTE_MAINTENANCE_H_

#include <memory>

#include "base/mutex.h"
#include "net/remote/link.h"
#include "storage/maintenance.h"

namespace kvarts {
namespace remote {

// Thread-safe. The care of the store that a server has. Its calls take as long as they take:
// they have no deadline, and end with the connection.
class RemoteMaintenance final : public Maintenance {
 public:
  explicit RemoteMaintenance(std::shared_ptr<Link> link) : link_(std::move(link)) {}

  void Close();

  absl::Status Flush() override;
  absl::Status Compact(const KeyRange& range) override;
  absl::StatusOr<uint64_t> ApproximateBytes(const KeyRange& range) override;
  absl::StatusOr<VerifyReport> Verify() override;
  absl::StatusOr<std::string> Checkpoint(absl::string_view name) override;
  // A snapshot of the index is named as a checkpoint is: it lies where the server keeps those.
  absl::StatusOr<IndexReport> LoadIndex() override;
  absl::StatusOr<IndexReport> SaveIndexSnapshot(absl::string_view path) override;
  absl::StatusOr<IndexReport> LoadIndexSnapshot(absl::string_view path) override;

 private:
  absl::StatusOr<native::Maintained> Ask(const native::Maintain& work);
  absl::StatusOr<IndexReport> AskOfIndex(native::Maintain::Work of_index, absl::string_view name);

  Mutex mu_;
  std::shared_ptr<Link> link_ ABSL_GUARDED_BY(mu_);  // null after Close()
};

}  // namespace remote
}  // namespace kvarts

#endif  // KVARTS_NET_REMOTE_REMOTE_MAINTENANCE_H_
