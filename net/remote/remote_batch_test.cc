#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "net/loopback/loopback.h"
#include "net/remote/remote_store.h"
#include "net/remote/served_store.h"
#include "net/turning_store.h"

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

}  // namespace
}  // namespace kvarts
