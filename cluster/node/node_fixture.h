#ifndef KVARTS_CLUSTER_NODE_NODE_FIXTURE_H_
#define KVARTS_CLUSTER_NODE_NODE_FIXTURE_H_

#include "base/language.h"

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "base/slot.h"
#include "cluster/node/node_store.h"
#include "storage/layers/forwarding_store.h"
#include "testing/conformance/store_fixture.h"

namespace kvarts {
namespace cluster {

// Thread-safe. Two threads that may wait. Its end runs what is left.
class TestPool {
 public:
  TestPool() {
    for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { Work(); });
  }
  ~TestPool() {
    {
      MutexLock lock(&mu_);
      stopping_ = true;
      changed_.SignalAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  void Run(Task task) {
    MutexLock lock(&mu_);
    tasks_.push_back(std::move(task));
    changed_.Signal();
  }

 private:
  void Work() {
    while (true) {
      Task task;
      {
        MutexLock lock(&mu_);
        while (tasks_.empty() && !stopping_) changed_.Wait(&mu_);
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  Mutex mu_;
  CondVar changed_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

// Thread-safe. Takes what is in an outbox, in order, and hands it on, on a thread of its own.
class TestTaker {
 public:
  using Apply = std::function<void(const std::vector<Effect>&)>;
  TestTaker(std::shared_ptr<Outbox> outbox, Apply apply)
      : outbox_(std::move(outbox)), apply_(std::move(apply)), thread_([this] { Work(); }) {}
  ~TestTaker() { Finish(); }

  // Takes what is left, and ends.
  void Finish() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Work() {
    std::vector<Effect> effects;
    while (true) {
      const bool is_last = stopping_;
      effects.clear();
      if (outbox_->Take(64 << 10, &effects) > 0) {
        apply_(effects);
      } else if (is_last) {
        return;
      } else {
        // An outbox wakes nobody: a node looks by a timer.
        MutexLock lock(&mu_);
        never_.WaitFor(&mu_, absl::Microseconds(200));
      }
    }
  }

  const std::shared_ptr<Outbox> outbox_;
  const Apply apply_;
  std::atomic<bool> stopping_{false};
  Mutex mu_;
  CondVar never_;
  std::thread thread_;
};

inline std::vector<uint16_t> AllSlots() {
  std::vector<uint16_t> slots;
  for (int slot = 0; slot < kSlots; ++slot) slots.push_back(static_cast<uint16_t>(slot));
  return slots;
}

// Thread-safe. A node's store and all it needs: every slot is in `state`, kServing or kCopying,
// which somebody takes from then.
class ServedNode final : public ForwardingStore {
 public:
  ServedNode(std::unique_ptr<Store> below, SlotState state)
      : ServedNode(below.get(), std::make_unique<TestPool>(), state) {
    below_ = std::move(below);
  }
  ~ServedNode() override {
    DestroyUnder();
    taker_.reset();
    pool_.reset();
  }

 private:
  ServedNode(Store* below, std::unique_ptr<TestPool> pool, SlotState state)
      : ForwardingStore(std::make_unique<NodeStore>(
            below, [pool = pool.get()](Task task) { pool->Run(std::move(task)); })),
        pool_(std::move(pool)) {
    NodeStore& node = static_cast<NodeStore&>(under());
    if (state == SlotState::kCopying) {
      const auto outbox = std::make_shared<Outbox>(below);
      node.SetOutbox(outbox);
      taker_ = std::make_unique<TestTaker>(outbox, [](const std::vector<Effect>&) {});
    }
    node.SetStates(AllSlots(), state);
  }

  std::unique_ptr<Store> below_;
  std::unique_ptr<TestPool> pool_;
  std::unique_ptr<TestTaker> taker_;
};

// Another fixture's stores, each as a node serves it. Not thread-safe.
class NodeFixture final : public StoreFixture {
 public:
  NodeFixture(std::unique_ptr<StoreFixture> backing, SlotState state)
      : backing_(std::move(backing)), state_(state) {}

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    return Serve(backing_->Open(records));
  }
  bool can_reopen() const override { return backing_->can_reopen(); }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override { return Serve(backing_->Reopen()); }
  ManualClock* clock() override { return backing_->clock(); }
  bool Accepts(absl::string_view key, absl::string_view value) const override {
    return backing_->Accepts(key, value);
  }

 private:
  absl::StatusOr<std::unique_ptr<Store>> Serve(absl::StatusOr<std::unique_ptr<Store>> store) const {
    if (!store.ok()) return store.status();
    return std::unique_ptr<Store>(std::make_unique<ServedNode>(*std::move(store), state_));
  }

  const std::unique_ptr<StoreFixture> backing_;
  const SlotState state_;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_NODE_FIXTURE_H_
