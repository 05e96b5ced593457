#ifndef KVARTS_CLUSTER_CLIENT_CLUSTER_READ_H_
#define KVARTS_CLUSTER_CLIENT_CLUSTER_READ_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cluster/client/nodes.h"
#include "cluster/client/tries.h"
#include "net/remote/calls.h"
#include "storage/store.h"

namespace kvarts {
namespace cluster_client {

// A MultiGet() over the nodes of a cluster.
class ClusterRead final : public Tries {
 public:
  // `done` is called on the loop, as the last. All that is handed in must stay until then.
  using Done = absl::AnyInvocable<void()>;
  ClusterRead(Nodes* nodes, absl::Span<const absl::string_view> keys, const ReadOptions& options,
              ReadResults* results, Done done)
      : Tries(nodes, options.timeout),
        keys_(keys),
        options_(options),
        results_(results),
        done_(std::move(done)) {}

  // Once, on any thread.
  void Start();

 private:
  // A GET that is under way at a node.
  struct Asked {
    const Node* node;
    std::shared_ptr<remote::GetCall> call;
  };

  // What is to be asked of the owner of the slot of the key at `place`.
  void Add(uint32_t place);
  // A try, with all that was added.
  void AskNodes();
  // Sends one node the GETs of the keys at `places`.
  void Ask(const Node& node, absl::Span<const uint32_t> places);
  void Judge() override;

  const absl::Span<const absl::string_view> keys_;
  const ReadOptions& options_;
  ReadResults* const results_;
  Done done_;

  std::vector<std::vector<uint32_t>> of_node_;  // by their places in the route
  std::vector<uint32_t> nobodys_;               // keys whose slots no node serves
  std::vector<Asked> asked_;
};

}  // namespace cluster_client
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_CLUSTER_READ_H_
