#include "bench/cluster_connection.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/client/cluster_cursor.h"
#include "cluster/client/cluster_read.h"
#include "cluster/client/cluster_write.h"
#include "cluster/client/nodes.h"
#include "net/waiting.h"
#include "storage/store.h"

namespace kvarts {
namespace {

using cluster_client::ClusterCursor;
using cluster_client::ClusterRead;
using cluster_client::ClusterWrite;
using cluster_client::Nodes;

class ClusterCall final : public BenchCall {
 public:
  // `nodes` stay while requests are under way.
  ClusterCall(const std::shared_ptr<Nodes>& nodes, const RunControl* control)
      : BenchCall(control), nodes_(nodes) {
    read_options_.timeout = options().timeout;
    write_options_.timeout = options().timeout;
    write_options_.sync = options().sync_writes;
    scan_options_.timeout = options().timeout;
  }

 private:
  void Begin() override { batch_.Clear(); }
  void Send() override {
    if (is_read()) {
      return std::make_shared<ClusterRead>(nodes_.lock().get(), request().keys, read_options_,
                                           &results(), [this] { Ended(absl::OkStatus()); })
          ->Start();
    }
    if (request().operation == Operation::kScan) return Scan();
    if (request().operation == Operation::kDelete) {
      batch_.Delete(request().keys[0]);
    } else {
      batch_.Put(request().keys[0], request().value);
    }
    std::make_shared<ClusterWrite>(nodes_.lock().get(), batch_, write_options_, &written_,
                                   [this](const absl::Status& status) { Ended(status); })
        ->Start();
  }
  // A page, of a scan of the whole cluster from its first entry on: keys have no order there.
  void Scan() {
    if (cursor_ == nullptr) {
      absl::StatusOr<std::unique_ptr<ClusterCursor>> cursor =
          ClusterCursor::New(nodes_.lock(), scan_options_);
      if (!cursor.ok()) return Ended(cursor.status());
      cursor_ = *std::move(cursor);
    }
    PageLimits limits;
    limits.entries = std::min(limits.entries, entries_left());
    cursor_->Start(limits, &page_, [this](const absl::Status& status) {
      size_t bytes = 0;
      for (const ScanEntry& entry : page_) bytes += entry.value.size();
      Scanned(page_.size(), bytes, page_.empty());
      if (!status.ok() || entries_left() == 0) cursor_.reset();
      Ended(status);
    });
  }

  // This may outlive the loop, on which they end.
  const std::weak_ptr<Nodes> nodes_;
  ReadOptions read_options_;
  WriteOptions write_options_;
  ScanOptions scan_options_;
  WriteBatch batch_;
  WriteResults written_;
  std::unique_ptr<ClusterCursor> cursor_;  // of a scan under way
  ScanPage page_;
};

class ClusterConnection final : public BenchConnection {
 public:
  ClusterConnection(Transport* transport, EventLoop* loop, const std::vector<std::string>& seeds,
                    const ClusterStoreOptions& options)
      : transport_(transport), loop_(loop), seeds_(seeds), options_(options) {}

  // Waits, on the thread that calls.
  void Open(OpenCallback done) override {
    absl::StatusOr<std::shared_ptr<Nodes>> nodes = Nodes::Open(transport_, seeds_, options_, loop_);
    const absl::Status status = nodes.status();
    if (status.ok()) nodes_ = *std::move(nodes);
    loop_->Post([done = std::move(done), status = Unshared(status)]() mutable { done(status); });
  }
  std::unique_ptr<BenchCall> NewCall(const RunControl* control) override {
    return std::make_unique<ClusterCall>(nodes_, control);
  }
  void Shutdown() override {
    if (nodes_ != nullptr) nodes_->Shutdown();
  }

 private:
  Transport* const transport_;
  EventLoop* const loop_;
  const std::vector<std::string> seeds_;
  const ClusterStoreOptions options_;
  std::shared_ptr<Nodes> nodes_;  // null until it is open
};

}  // namespace

BenchConnectionFactory ClusterConnections(Transport* transport,
                                          const std::vector<std::string>& seeds,
                                          const ClusterStoreOptions& options) {
  return [=](EventLoop* loop) {
    return std::make_unique<ClusterConnection>(transport, loop, seeds, options);
  };
}

}  // namespace kvarts
