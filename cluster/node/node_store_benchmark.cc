#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "cluster/busy_slots.h"
#include "cluster/node/node_fixture.h"
#include "cluster/node/node_store.h"
#include "storage/memory/memory.h"

// What a call costs over a node's store, beside the same call over the memory store that is under
// it. The last argument: 0 the memory store, 1 a node that serves all of it, 2 one that copies it.
namespace kvarts {
namespace cluster {
namespace {

constexpr int kKeys = 1 << 14;

struct World {
  World() {
    for (int i = 0; i < kKeys; ++i) {
      keys.push_back(absl::StrCat("0f8fad5b-d9cb-469f-a165-", 708677280000 + i));  // 36 bytes
      memory->Put(keys.back(), value).IgnoreError();
    }
    node.SetStates(AllSlots(), SlotState::kServing);
  }

  // Empties the outbox now and then: what that costs is the copying's.
  void MayTake() {
    if (outbox->bytes() < Outbox::kRoom / 2) return;
    effects.clear();
    outbox->Take(~size_t{0}, &effects);
  }

  const std::string value = std::string(64, 'v');
  const std::unique_ptr<Store> memory = NewMemoryStore();
  NodeStore node{memory.get(), [](Task task) { task(); }};
  std::vector<std::string> keys;
  std::shared_ptr<Outbox> outbox;
  std::vector<Effect> effects;
};

World& TheWorld() {
  static auto* const world = new World;
  return *world;
}

Store& StoreOf(const benchmark::State& state) {
  World& world = TheWorld();
  if (state.range(0) == 0) return *world.memory;
  world.node.SetStates(AllSlots(), SlotState::kServing);
  if (state.range(0) == 2) {
    world.outbox = std::make_shared<Outbox>(world.memory.get());
    world.node.SetOutbox(world.outbox);
    world.node.SetStates(AllSlots(), SlotState::kCopying);
  }
  return world.node;
}

void BM_Get(benchmark::State& state) {
  Store& store = StoreOf(state);
  World& world = TheWorld();
  ReadResults results;
  size_t i = 0;
  for (auto unused : state) {
    store.Read(world.keys[i++ % kKeys], {}, &results);
    if (!results[0].found) state.SkipWithError("a key is not there");
  }
}
BENCHMARK(BM_Get)->Arg(0)->Arg(1);

// What each of these has to pay so that `kv_cluster skew` can name the busiest slots.
void BM_CountOf(benchmark::State& state) {
  static auto* const samples = new SlotSamples;
  World& world = TheWorld();
  const auto n = static_cast<size_t>(state.range(0));
  size_t i = 0;
  for (auto unused : state) {
    samples->Add(n, [&](size_t k) { return absl::string_view(world.keys[(i + k) % kKeys]); });
    i += n;
    benchmark::ClobberMemory();
  }
}
BENCHMARK(BM_CountOf)->Arg(1)->Arg(64);

void BM_GetOf64(benchmark::State& state) {
  Store& store = StoreOf(state);
  World& world = TheWorld();
  const std::vector<absl::string_view> keys(world.keys.begin(), world.keys.end());
  ReadResults results;
  size_t i = 0;
  for (auto unused : state) {
    store.MultiGet(absl::MakeConstSpan(keys).subspan(i % kKeys, 64), {}, &results);
    i += 64;
  }
  state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(BM_GetOf64)->Arg(0)->Arg(1);

void Submit(benchmark::State& state, size_t n) {
  Store& store = StoreOf(state);
  World& world = TheWorld();
  WriteBatch batch;
  WriteResults results;
  size_t i = 0;
  int ended = 0;
  int calls = 0;
  for (auto unused : state) {
    batch.Clear();
    for (size_t k = 0; k < n; ++k) batch.Put(world.keys[i++ % kKeys], world.value);
    store.Submit(batch, {}, &results, [&](const absl::Status&) { ++ended; });
    ++calls;
    if (state.range(0) == 2) world.MayTake();
  }
  if (ended != calls) state.SkipWithError("a write has not ended");
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(n));
}

void BM_SubmitPut(benchmark::State& state) { Submit(state, 1); }
BENCHMARK(BM_SubmitPut)->Arg(0)->Arg(1)->Arg(2);

void BM_SubmitOf64(benchmark::State& state) { Submit(state, 64); }
BENCHMARK(BM_SubmitOf64)->Arg(0)->Arg(1)->Arg(2);

}  // namespace
}  // namespace cluster
}  // namespace kvarts
