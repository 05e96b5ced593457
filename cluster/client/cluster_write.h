#ifndef KVARTS_CLUSTER_CLIENT_CLUSTER_WRITE_H_
#define KVARTS_CLUSTER_CLIENT_CLUSTER_WRITE_H_

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/slot.h"
#include "cluster/client/nodes.h"
#include "cluster/client/tries.h"
#include "net/remote/calls.h"
#include "storage/store.h"

namespace kvarts {
namespace cluster_client {

// A Write() over the nodes of a cluster.
class ClusterWrite final : public Tries {
 public:
  // The batch was checked against the capabilities. `results` gets an outcome for each mutation.
  // `done` gets what Write() returns, on the loop or in Start(), as the last. All that is handed in
  // must stay until then.
  using Done = absl::AnyInvocable<void(const absl::Status&)>;
  ClusterWrite(Nodes* nodes, const WriteBatch& batch, const WriteOptions& options,
               WriteResults* results, Done done)
      : Tries(nodes, options.timeout),
        batch_(batch),
        options_(options),
        results_(results),
        done_(std::move(done)) {}

  // Once, on any thread.
  void Start();

 private:
  // A WRITE that is under way at a node.
  struct Sent {
    size_t node;  // its place in the route
    std::shared_ptr<remote::WriteCall> call;
    uint64_t sequence;
    std::unique_ptr<WriteResults> own_results;  // null: they are the caller's
  };
  // What a batch is done as, one after the other.
  enum class Step : unsigned char {
    kAtomic,  // the whole batch, of one slot
    kSingly,  // independent mutations of single keys
    kRange,   // a deletion of a range, at all nodes
  };

  // kResourceExhausted: nothing was sent.
  absl::Status SendWrite(size_t node, absl::Span<const uint32_t> places);
  void Judge() override;

  void StartAtomic();
  void TryAtomic();
  void JudgeAtomic();

  // Independent mutations: those up to the next range, then it, and so on.
  void NextStep();
  // One request to each node that has some.
  void TrySingly();
  void JudgeSingly();
  void TryRange();
  void JudgeRange();
  void RangeIs(const absl::Status& status);

  const WriteBatch& batch_;
  const WriteOptions& options_;
  WriteResults* const results_;
  Done done_;

  Step step_ = Step::kSingly;
  std::vector<Sent> sent_;
  // kAtomic
  uint16_t slot_ = 0;
  absl::Status last_;  // kRange too: why it was not done
  // kSingly, kAtomic: what is to be done, in the order of the batch. kRange: the range alone.
  std::vector<uint32_t> places_;
  uint32_t next_ = 0;        // behind all steps so far
  bool asks_again_ = false;  // some were refused, or have no node to be asked
  // kRange: slots at whose owner it was deleted. One that moves meanwhile may have been where it
  // was not yet, or not any more: it has to be deleted again, until nothing has moved.
  std::bitset<kSlots> covered_;
};

}  // namespace cluster_client
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_CLUSTER_WRITE_H_
