#include "cluster/client/test_cluster.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "net/loopback/loopback.h"
#include "storage/layers/forwarding_store.h"
#include "storage/slot_status.h"

namespace kvarts {
namespace {

// Far above what a model store counts to.
constexpr int kEpochShift = 40;

// Connects to tcp://X by loopback:X.
class RenamingTransport final : public Transport {
 public:
  explicit RenamingTransport(Transport* under) : under_(under) {}
  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                   absl::string_view address,
                                                   const ListenOptions& options,
                                                   AcceptCallback accept) override {
    return under_->Listen(loops, Renamed(address), options, std::move(accept));
  }
  void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
               ConnectCallback callback) override {
    under_->Connect(loop, Renamed(address), timeout, std::move(callback));
  }

 private:
  static std::string Renamed(absl::string_view address) {
    return absl::StrCat("loopback:", absl::StripPrefix(address, "tcp://"));
  }
  Transport* const under_;
};

// The store of a node: only of its slots.
class NodeStore final : public ForwardingStore {
 public:
  NodeStore(std::unique_ptr<Store> under, SlotTruth* truth, int16_t me)
      : ForwardingStore(std::move(under)), truth_(truth), me_(me) {}

  Capabilities capabilities() const override {
    Capabilities has = under().capabilities();
    has.batch_scope = std::min(has.batch_scope, BatchScope::kShard);
    has.atomic_multi_get = false;
    return has;
  }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    MutexLock lock(&truth_->mu);
    under().MultiGet(keys, options, results);
    for (size_t i = 0; i < keys.size(); ++i) {
      ReadResult& result = results->mutable_result(i);
      if (absl::Status status = StatusOf(KeySlot(keys[i])); !status.ok()) {
        result = ReadResult();
        result.status = std::move(status);
      } else if (options.stamp) {
        result.stamp.low += EpochOf(keys[i]);
      }
    }
  }
  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    MultiGet(absl::MakeConstSpan(&key, 1), options, results);
  }
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    MutexLock lock(&truth_->mu);
    WriteBatch some;
    std::vector<absl::Status> errors;
    absl::Status first;
    for (const Mutation& m : batch.mutations()) {
      errors.push_back(m.kind == Mutation::Kind::kDeleteRange ? absl::OkStatus()
                                                              : StatusOf(KeySlot(m.key)));
      first.Update(errors.back());
      if (errors.back().ok()) some.Add(m);
    }
    for (Precondition p : batch.preconditions()) {
      first.Update(StatusOf(KeySlot(p.key)));
      p.stamp.low -= EpochOf(p.key);
      some.Add(p);
    }
    if (options.atomic && !first.ok()) return FailWrite(batch, first, results);
    WriteResults done;
    absl::Status status = under().Write(some, options, &done);
    if (results != nullptr) {
      results->failed_precondition = done.failed_precondition;
      results->results.clear();
      auto next = done.results.begin();
      for (const absl::Status& error : errors) {
        results->results.push_back(error.ok() ? *next++ : WriteResult{error});
      }
    }
    return status.ok() ? first : status;
  }
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override {
    done(Write(batch, options, results));
  }
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = under().NewCursor(options);
    if (!cursor.ok()) return cursor;
    return std::unique_ptr<Cursor>(
        std::make_unique<NodeCursor>(this, options.slots, *std::move(cursor)));
  }

 private:
  // Refuses a page where one of the slots asked for is elsewhere.
  class NodeCursor final : public Cursor {
   public:
    NodeCursor(NodeStore* store, std::vector<SlotRange> slots, std::unique_ptr<Cursor> under)
        : store_(store), slots_(std::move(slots)), under_(std::move(under)) {}
    absl::Status Next(const PageLimits& limits, ScanPage* page) override {
      MutexLock lock(&store_->truth_->mu);
      page->Reset();
      for (const SlotRange& range : slots_) {
        for (int slot = range.first; slot <= range.last; ++slot) {
          if (!store_->StatusOf(static_cast<uint16_t>(slot)).ok()) {
            return absl::FailedPreconditionError("moved");
          }
        }
      }
      return under_->Next(limits, page);
    }
    std::string position() const override { return under_->position(); }

   private:
    NodeStore* const store_;
    const std::vector<SlotRange> slots_;
    const std::unique_ptr<Cursor> under_;
  };

  absl::Status StatusOf(uint16_t slot) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(truth_->mu) {
    const int16_t owner = truth_->owner[slot];
    if (owner == me_) return absl::OkStatus();
    if (owner < 0) return SlotDownError();
    return MovedError({slot, absl::StrCat("127.0.0.1:", 7001 + owner), ""});
  }
  uint64_t EpochOf(absl::string_view key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(truth_->mu) {
    return truth_->epoch[KeySlot(key)] << kEpochShift;
  }

  SlotTruth* const truth_;
  const int16_t me_;
};

}  // namespace

TestCluster::TestCluster(int nodes, ModelStoreOptions options)
    : options_(std::move(options)),
      loopback_(NewLoopbackTransport()),
      transport_(std::make_unique<RenamingTransport>(loopback_.get())) {
  const ClusterMap map = MapOf(nodes);
  {
    MutexLock lock(&truth_.mu);
    truth_.owner = map.owner;
  }
  for (int i = 0; i < nodes; ++i) {
    nodes_.push_back(std::make_unique<Node>());
    ClusterMap its = map;
    its.myself = i;
    nodes_.back()->view.Set(std::move(its));
    ModelStoreOptions direct = options_;
    direct.data = nodes_.back()->data;
    nodes_.back()->direct = NewModelStore(direct);
    Start(i);
  }
}

TestCluster::~TestCluster() = default;

std::string TestCluster::Seed(int node) { return absl::StrCat("127.0.0.1:", 9001 + node); }

std::string TestCluster::RespSeed(int node) { return absl::StrCat("127.0.0.1:", 7001 + node); }

std::vector<std::string> TestCluster::seeds() const {
  std::vector<std::string> seeds;
  for (int i = 0; i < size(); ++i) seeds.push_back(Seed(i));
  return seeds;
}

absl::StatusOr<std::unique_ptr<Store>> TestCluster::Open(absl::Duration timeout) {
  ClusterStoreOptions options;
  options.timeout = timeout;
  options.connect_timeout = absl::Seconds(30);  // of a loaded machine under a sanitizer
  return OpenClusterStore(transport(), seeds(), options);
}

std::unique_ptr<Store> TestCluster::MustOpen(absl::Duration timeout) {
  auto store = Open(timeout);
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

void TestCluster::Put(absl::string_view key, absl::string_view value) {
  Node& node = *nodes_[static_cast<size_t>(OwnerOf(key))];
  EXPECT_TRUE(node.direct->Put(key, value).ok());
}

void TestCluster::Tell(SlotRange slots, int16_t owner) {
  for (int slot = slots.first; slot <= slots.last; ++slot) {
    truth_.owner[static_cast<size_t>(slot)] = owner;
    ++truth_.epoch[static_cast<size_t>(slot)];
  }
  uint64_t newest = 0;
  for (const std::unique_ptr<Node>& node : nodes_) {
    newest = std::max(newest, node->view.map()->revision);
  }
  for (const std::unique_ptr<Node>& node : nodes_) {
    if (!node->told) continue;
    ClusterMap map = *node->view.map();
    map.revision = newest + 1;
    map.owner = truth_.owner;
    node->view.Set(std::move(map));
  }
}

void TestCluster::Move(SlotRange slots, int to) {
  MutexLock lock(&truth_.mu);
  Store& target = *nodes_[static_cast<size_t>(to)]->direct;
  for (const std::unique_ptr<Node>& from : nodes_) {
    if (from->direct.get() == &target) continue;
    ScanOptions scan;
    scan.slots = {slots};
    auto cursor = from->direct->NewCursor(scan);
    ASSERT_TRUE(cursor.ok()) << cursor.status();
    ScanPage page;
    while ((*cursor)->Next({}, &page).ok() && !page.empty()) {
      for (const ScanEntry& entry : page) {
        ASSERT_TRUE(
            target
                .Put(entry.key, entry.value, Metadata::Of(entry.expires_at_ms, entry.content_type))
                .ok());
        ASSERT_TRUE(from->direct->Delete(entry.key).ok());
      }
    }
  }
  Tell(slots, static_cast<int16_t>(to));
}

void TestCluster::TakeDown(SlotRange slots) {
  MutexLock lock(&truth_.mu);
  Tell(slots, ClusterMap::kNobody);
}

void TestCluster::TakeUp(SlotRange slots, int at) {
  MutexLock lock(&truth_.mu);
  Tell(slots, static_cast<int16_t>(at));
}

void TestCluster::Stop(int node) {
  nodes_[static_cast<size_t>(node)]->served.reset();
  nodes_[static_cast<size_t>(node)]->served_resp.reset();
}

void TestCluster::Start(int node) {
  Node& at = *nodes_[static_cast<size_t>(node)];
  ModelStoreOptions options = options_;
  options.data = at.data;
  NativeServerOptions serving;
  serving.cluster = &at.view;
  serving.metrics = &at.metrics;
  const auto store = [&] {
    return std::make_unique<NodeStore>(NewModelStore(options), &truth_, static_cast<int16_t>(node));
  };
  auto served =
      ServedStore::Start(store(), loopback_.get(), absl::StrCat("loopback:", Seed(node)), serving);
  ASSERT_TRUE(served.ok()) << served.status();
  at.served = *std::move(served);
  RespOptions resp;
  resp.cluster = &at.view;
  if (options.clock != nullptr) resp.clock = options.clock;
  auto served_resp =
      ServedResp::Start(store(), loopback_.get(), absl::StrCat("loopback:", RespSeed(node)), resp);
  ASSERT_TRUE(served_resp.ok()) << served_resp.status();
  at.served_resp = *std::move(served_resp);
  at.served_resp->SetReady();
}

int TestCluster::OwnerOf(absl::string_view key) {
  MutexLock lock(&truth_.mu);
  return truth_.owner[KeySlot(key)];
}

std::string TestCluster::KeyAt(int node, int number) {
  for (int i = 0;; ++i) {
    std::string key = absl::StrCat("key", i);
    if (OwnerOf(key) == node && number-- == 0) return key;
  }
}

uint64_t TestCluster::requests(int node) const {
  return nodes_[static_cast<size_t>(node)]->metrics.Collect().counts.requests;
}

absl::StatusOr<std::unique_ptr<Store>> ClusterFixture::Open(const Records& records) {
  ModelStoreOptions options;
  options.capabilities = capabilities_;
  options.clock = &clock_;
  clusters_.push_back(std::make_unique<TestCluster>(nodes_, options));
  for (const auto& [key, value] : records) clusters_.back()->Put(key, value);
  return clusters_.back()->Open();
}

}  // namespace kvarts
