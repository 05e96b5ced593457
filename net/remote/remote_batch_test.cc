#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "net/loopback/loopback.h"
#include "net/remote/remote_store.h"
#include "net/remote/served_store.h"
#include "net/turning_store.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace {

// The client and the server each leave a MultiGet whole, where the store promises that it
// shows all of an atomic batch or nothing; and elsewhere neither says so.
TEST(RemoteBatchTest, AMultiGetOfManyKeysIsOneReadOfTheServedStore) {
  for (const bool atomic : {true, false}) {
    const std::unique_ptr<Transport> transport = NewLoopbackTransport();
    auto backing = std::make_unique<TurningStore>(20'000, atomic);
    TurningStore* const turning = backing.get();
    const auto served = ServedStore::Start(std::move(backing), transport.get(), "loopback:s");
    ASSERT_TRUE(served.ok()) << served.status();
    const auto store = OpenRemoteStore(transport.get(), (*served)->address());
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ((*store)->capabilities().atomic_multi_get, atomic);
    const std::vector<absl::string_view> keys(turning->keys().begin(), turning->keys().end());
    ReadResults results;
    (*store)->MultiGet(keys, ReadOptions(), &results);
    bool one_state = true;
    for (const ReadResult& result : results) {
      ASSERT_TRUE(result.status.ok()) << result.status;
      one_state = one_state && result.value == results[0].value;
    }
    EXPECT_EQ(one_state, atomic);
    EXPECT_EQ(turning->reads == 1, atomic);
  }
}

// `n` puts of a key, the first with `value`; their messages are long ones.
WriteBatch LongBatch(size_t n, absl::string_view key, absl::string_view value) {
  WriteBatch batch;
  const Metadata metadata = Metadata::Of(int64_t{1} << 62, "t");
  for (size_t i = 0; i < n; ++i) batch.Put(key, i == 0 ? value : "", metadata);
  return batch;
}

// A mutation more than the largest batch is refused, and nothing of it is done; the largest one
// fits into a request, however long its messages are.
TEST(RemoteBatchTest, TheLargestAtomicBatchIsWhatTheCapabilitiesSay) {
  const std::unique_ptr<Transport> transport = NewLoopbackTransport();
  const auto served = ServedStore::Start(NewModelStore(), transport.get(), "loopback:s");
  ASSERT_TRUE(served.ok()) << served.status();
  const auto store = OpenRemoteStore(transport.get(), (*served)->address());
  ASSERT_TRUE(store.ok()) << store.status();
  const Capabilities has = (*store)->capabilities();
  EXPECT_EQ(has.max_batch_mutations, 131'008u);
  EXPECT_EQ(has.max_batch_bytes, (uint64_t{76} << 20) - 12);
  WriteOptions atomic;
  atomic.atomic = true;
  const std::string value(3 << 20, 'v');
  const WriteBatch largest = LongBatch(has.max_batch_mutations, "k", value);
  EXPECT_EQ((*store)->Write(largest, atomic, nullptr), absl::OkStatus());
  WriteBatch larger = LongBatch(has.max_batch_mutations, "k", "w");
  larger.RequirePresent("k");
  EXPECT_EQ((*store)->Write(larger, atomic, nullptr).code(), absl::StatusCode::kInvalidArgument);
  // Not atomic, it goes in parts.
  EXPECT_EQ((*store)->Write(LongBatch(has.max_batch_mutations + 1, "k", "x"), {}, nullptr),
            absl::OkStatus());
}

TEST(RemoteBatchTest, TheMostBytesOfAnAtomicBatchAreWhatTheCapabilitiesSay) {
  const std::unique_ptr<Transport> transport = NewLoopbackTransport();
  NativeServerOptions options;
  options.max_frame_bytes = 5 << 20;
  const auto served = ServedStore::Start(NewModelStore(), transport.get(), "loopback:s", options);
  ASSERT_TRUE(served.ok()) << served.status();
  const auto store = OpenRemoteStore(transport.get(), (*served)->address());
  ASSERT_TRUE(store.ok()) << store.status();
  const uint64_t most = (*store)->capabilities().max_batch_bytes;
  EXPECT_EQ(most, (1u << 20) - 12);
  WriteOptions atomic;
  atomic.atomic = true;
  const std::string value(most, 'v');
  for (const bool fits : {true, false}) {
    WriteBatch batch;
    batch.Put(fits ? "" : "k", value);
    EXPECT_EQ((*store)->Write(batch, atomic, nullptr).code(),
              fits ? absl::StatusCode::kOk : absl::StatusCode::kInvalidArgument);
  }
}

TEST(RemoteBatchTest, TheSmallerLimitsOfTheServedStoreAreDeclared) {
  const std::unique_ptr<Transport> transport = NewLoopbackTransport();
  ModelStoreOptions model;
  model.capabilities.max_batch_mutations = 3;
  model.capabilities.max_batch_bytes = 4;
  const auto served = ServedStore::Start(NewModelStore(model), transport.get(), "loopback:s");
  ASSERT_TRUE(served.ok()) << served.status();
  const auto store = OpenRemoteStore(transport.get(), (*served)->address());
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->capabilities().max_batch_mutations, 3u);
  EXPECT_EQ((*store)->capabilities().max_batch_bytes, 4u);
}

}  // namespace
}  // namespace kvarts
