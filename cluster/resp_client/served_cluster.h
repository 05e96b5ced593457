#ifndef KVARTS_CLUSTER_RESP_CLIENT_SERVED_CLUSTER_H_
#define KVARTS_CLUSTER_RESP_CLIENT_SERVED_CLUSTER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cluster/client/test_cluster.h"
#include "cluster/resp_client/resp_cluster_store.h"
#include "testing/conformance/store_fixture.h"

namespace kvarts {

// For tests. Clusters whose nodes speak RESP, as stores under test. Not thread-safe.
class RespClusterFixture final : public StoreFixture {
 public:
  RespClusterFixture(int nodes, bool expiry) : nodes_(nodes) {
    options_.expiry = expiry;
    options_.timeout = absl::Seconds(60);  // of a loaded machine under a sanitizer
    options_.connect_timeout = absl::Seconds(30);
  }

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    ModelStoreOptions options;
    options.clock = &clock_;
    clusters_.push_back(std::make_unique<TestCluster>(nodes_, options));
    for (const auto& [key, value] : records) clusters_.back()->Put(key, value);
    return Reopen();
  }
  bool can_reopen() const override { return true; }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override {
    return OpenRespClusterStore(clusters_.back()->transport(), {TestCluster::RespSeed(0)},
                                options_);
  }
  ManualClock* clock() override { return &clock_; }

 private:
  const int nodes_;
  RespStoreOptions options_;
  ManualClock clock_;
  std::vector<std::unique_ptr<TestCluster>> clusters_;
};

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_RESP_CLIENT_SERVED_CLUSTER_H_
