// What the native protocol has of clusters.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/slot.h"
#include "gtest/gtest.h"
#include "net/cluster_map.h"
#include "net/fixed_cluster.h"
#include "net/native/cluster_wire.h"
#include "net/native/session_harness.h"
#include "testing/model/model_store.h"
#include "testing/model/slot_store.h"
#include "testing/model/slow_store.h"

namespace kvarts {
namespace native {
namespace {

using StatusCode = absl::StatusCode;

StatusCode Code(const Answer& answer) { return static_cast<StatusCode>(answer.response.code()); }

kvarts::ClusterMap Example() {
  kvarts::ClusterMap map = MapOf(3);
  map.lost_slots = 5;
  map.nodes[1].host = "node-1.example";
  map.nodes[1].native_host = "native.example";
  map.nodes[1].http_host = "http.example";
  map.nodes[1].native_tls = map.nodes[1].http_tls = true;
  map.nodes[1].resp_tls = true;
  map.nodes[1].is_alive = false;
  map.nodes[1].http_port = 0;
  map.nodes[2].is_member = false;
  map.nodes[2].is_leaving = true;
  map.owner[0] = kvarts::ClusterMap::kNobody;
  map.owner[kSlots - 1] = 0;
  return map;
}

void ExpectSame(const kvarts::ClusterMap& a, const kvarts::ClusterMap& b) {
  EXPECT_EQ(a.cluster_id, b.cluster_id);
  EXPECT_EQ(a.revision, b.revision);
  EXPECT_EQ(a.myself, b.myself);
  EXPECT_EQ(a.lost_slots, b.lost_slots);
  EXPECT_EQ(a.owner, b.owner);
  ASSERT_EQ(a.nodes.size(), b.nodes.size());
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    const kvarts::ClusterNode& x = a.nodes[i];
    const kvarts::ClusterNode& y = b.nodes[i];
    EXPECT_EQ(x.id, y.id);
    EXPECT_EQ(x.host, y.host);
    EXPECT_EQ(x.native_port, y.native_port);
    EXPECT_EQ(x.resp_port, y.resp_port);
    EXPECT_EQ(x.http_port, y.http_port);
    EXPECT_EQ(x.internal_port, y.internal_port);
    EXPECT_EQ(x.native_host, y.native_host);
    EXPECT_EQ(x.http_host, y.http_host);
    EXPECT_EQ(x.native_tls, y.native_tls);
    EXPECT_EQ(x.resp_tls, y.resp_tls);
    EXPECT_EQ(x.http_tls, y.http_tls);
    EXPECT_EQ(x.is_alive, y.is_alive);
    EXPECT_EQ(x.is_member, y.is_member);
    EXPECT_EQ(x.is_leaving, y.is_leaving);
    EXPECT_EQ(x.epoch, y.epoch);
  }
}

std::string ClusterHello() {
  std::string out;
  AppendPreamble(&out);
  ClientHello hello;
  hello.set_client_id("client");
  hello.add_features(std::string(kClusterFeature));
  AppendFrameHead(hello, 0, &out);
  return out;
}

std::string AskForMap(uint64_t id) { return ToFrame(NewRequest(id, CLUSTER)); }

TEST(ClusterWireTest, AMapComesBackAsItWas) {
  kvarts::ClusterMap of_nobody;
  of_nobody.cluster_id = std::string(40, 'a');
  kvarts::ClusterMap of_all_runs = Example();
  for (size_t i = 0; i < of_all_runs.owner.size(); ++i) {
    of_all_runs.owner[i] = static_cast<int16_t>(i % 3);
  }
  for (const kvarts::ClusterMap& map : {Example(), MapOf(1), of_nobody, of_all_runs}) {
    const auto back = FromProto(ToProto(map));
    ASSERT_TRUE(back.ok()) << back.status();
    ExpectSame(map, *back);
  }
}

TEST(ClusterWireTest, NeighbouringSlotsOfANodeTravelAsOneRun) {
  const ClusterMap message = ToProto(MapOf(3));
  EXPECT_EQ(message.run_lengths_size(), 3);
  EXPECT_LT(message.ByteSizeLong(), 1000u);
}

TEST(ClusterWireTest, AMessageThatIsNoMapIsAnError) {
  const auto expect_bad = [](auto spoil) {
    ClusterMap message = ToProto(Example());
    spoil(&message);
    EXPECT_EQ(FromProto(message).status().code(), StatusCode::kInternal);
  };
  expect_bad([](ClusterMap* m) { m->set_cluster_id("short"); });
  expect_bad([](ClusterMap* m) { m->set_cluster_id(std::string(40, 'x')); });
  expect_bad([](ClusterMap* m) { m->set_myself(4); });
  expect_bad([](ClusterMap* m) { m->set_myself(~0u); });
  expect_bad([](ClusterMap* m) { m->mutable_nodes(0)->set_id(""); });
  expect_bad([](ClusterMap* m) { m->mutable_nodes(0)->set_host(""); });
  expect_bad([](ClusterMap* m) { m->mutable_nodes(0)->set_host("a b"); });
  expect_bad([](ClusterMap* m) { m->mutable_nodes(0)->set_host("a\nb"); });
  expect_bad([](ClusterMap* m) { m->mutable_nodes(0)->set_host(std::string(256, 'a')); });
  expect_bad([](ClusterMap* m) { m->mutable_nodes(1)->set_resp_port(65536); });
  expect_bad([](ClusterMap* m) { m->mutable_nodes(1)->set_internal_port(~0u); });
  expect_bad([](ClusterMap* m) { m->add_run_owners(0); });
  expect_bad([](ClusterMap* m) { m->clear_run_lengths(); });
  expect_bad([](ClusterMap* m) {
    m->clear_run_lengths();
    m->clear_run_owners();
  });
  expect_bad([](ClusterMap* m) { m->set_run_lengths(0, 0); });
  expect_bad([](ClusterMap* m) { m->set_run_lengths(0, 2); });
  expect_bad([](ClusterMap* m) { m->set_run_lengths(0, ~0u); });
  expect_bad([](ClusterMap* m) { m->set_run_lengths(1, m->run_lengths(1) - 1); });
  expect_bad([](ClusterMap* m) { m->set_run_owners(1, 4); });
  expect_bad([](ClusterMap* m) { m->set_run_owners(1, ~0u); });
  expect_bad([](ClusterMap* m) {
    while (m->nodes_size() <= 32767) *m->add_nodes() = m->nodes(0);
  });
}

TEST(ClusterSessionTest, WhoNamesTheFeatureGetsTheNewestMap) {
  FixedCluster cluster(Example());
  NativeServerOptions options;
  options.cluster = &cluster;
  SessionHarness server(options);
  auto connection = server.Connect();
  server.Send(*connection, ClusterHello() + AskForMap(1));
  cluster.Change([](kvarts::ClusterMap* map) { map->owner[0] = 2; });
  server.Send(*connection, AskForMap(2) + GetFrame(3, "key"));
  const auto answers = connection->answers();
  ASSERT_EQ(answers.size(), 4u);
  ASSERT_EQ(answers[0].response.hello().features_size(), 1);
  EXPECT_EQ(answers[0].response.hello().features(0), "cluster");
  ExpectSame(*FromProto(answers[1].response.cluster()), Example());
  ExpectSame(*FromProto(answers[2].response.cluster()), *cluster.map());
  EXPECT_FALSE(answers[3].response.has_cluster());
}

TEST(ClusterSessionTest, WithoutTheFeatureOrTheClusterTheOperationIsUnimplemented) {
  FixedCluster cluster;
  NativeServerOptions options;
  options.cluster = &cluster;
  SessionHarness node(options);
  SessionHarness lone;
  for (auto& [server, hello] :
       {std::pair<SessionHarness*, std::string>{&node, Hello()}, {&lone, ClusterHello()}}) {
    auto connection = server->Connect();
    server->Send(*connection, hello + AskForMap(1) + GetFrame(2, "key"));
    const auto answers = connection->answers();
    ASSERT_EQ(answers.size(), 3u);
    EXPECT_EQ(answers[0].response.hello().features_size(), 0);
    EXPECT_EQ(Code(answers[1]), StatusCode::kUnimplemented);
    EXPECT_EQ(Code(answers[2]), StatusCode::kOk);
  }
}

TEST(ClusterSessionTest, AKeyOfAnotherNodeIsAbortedAndSaysWhere) {
  auto store = std::make_unique<SlotStore>(NewModelStore());
  SlotStore* const slots = store.get();
  SessionHarness server(std::move(store));
  auto connection = server.Connect();
  slots->GiveUp({KeySlot("foo"), "127.0.0.1:7002", ""});
  slots->TakeDown(KeySlot("bar"));
  Request get = NewRequest(1, GET);
  for (int i = 0; i < 3; ++i) get.add_key_sizes(3);
  server.Send(*connection, Hello() + ToFrame(get, "foobarbaz") + PutFrame(2, "foo", "1"));
  const auto answers = connection->answers();
  ASSERT_EQ(answers.size(), 3u);
  ASSERT_EQ(answers[1].response.errors_size(), 2);
  EXPECT_EQ(answers[1].response.errors(0).code(), static_cast<uint32_t>(StatusCode::kAborted));
  EXPECT_EQ(answers[1].response.errors(0).message(), "MOVED 12182 127.0.0.1:7002");
  EXPECT_EQ(answers[1].response.errors(1).code(), static_cast<uint32_t>(StatusCode::kUnavailable));
  EXPECT_EQ(answers[1].response.errors(1).message(), "CLUSTERDOWN Hash slot not served");
  EXPECT_EQ(Code(answers[2]), StatusCode::kAborted);
  EXPECT_TRUE(answers[2].response.write().all_failed());
}

TEST(ClusterSessionTest, AWriteThatFoundItsSlotElsewhereIsNotRemembered) {
  auto store = std::make_unique<SlotStore>(NewModelStore());
  SlotStore* const slots = store.get();
  SessionHarness server(std::move(store));
  auto connection = server.Connect();
  const MovedSlot moved = {KeySlot("foo"), "127.0.0.1:7002", ""};
  slots->GiveUp(moved);
  server.Send(*connection, Hello() + PutFrame(1, "foo", "1", /*sequence=*/1));
  EXPECT_EQ(Code(connection->answers()[1]), StatusCode::kAborted);
  slots->TakeDown(KeySlot("foo"));
  server.Send(*connection, PutFrame(2, "foo", "1", 1));
  EXPECT_EQ(Code(connection->answers()[2]), StatusCode::kUnavailable);
  slots->TakeBack(KeySlot("foo"));
  server.Send(*connection, PutFrame(3, "foo", "1", 1));
  EXPECT_EQ(Code(connection->answers()[3]), StatusCode::kOk);
  EXPECT_EQ(*server.store().Get("foo"), "1");
  // What was done is answered also where the slot is gone since.
  slots->GiveUp(moved);
  server.Send(*connection, PutFrame(4, "foo", "1", 1));
  EXPECT_EQ(Code(connection->answers()[4]), StatusCode::kOk);
}

TEST(ClusterSessionTest, AWriteOfWhichAPartWasDoneIsRemembered) {
  auto store = std::make_unique<SlotStore>(NewModelStore());
  SlotStore* const slots = store.get();
  SessionHarness server(std::move(store));
  auto connection = server.Connect();
  slots->GiveUp({KeySlot("foo"), "127.0.0.1:7002", ""});
  const auto two = [](uint64_t id) {
    Request request = NewRequest(id, WRITE);
    request.mutable_write()->set_sequence(1);
    for (int i = 0; i < 2; ++i) {
      Mutation* const mutation = request.mutable_write()->add_mutations();
      mutation->set_key_size(3);
      mutation->set_value_size(1);
    }
    return ToFrame(request, "foo1bar2");
  };
  server.Send(*connection, Hello() + two(1));
  ASSERT_TRUE(server.store().Delete("bar").ok());
  slots->TakeBack(KeySlot("foo"));
  server.Send(*connection, two(2));
  const auto answers = connection->answers();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(Code(answers[2]), StatusCode::kAborted);
  EXPECT_FALSE(server.store().Get("bar")->has_value()) << "it is not done twice";
}

TEST(ClusterSessionTest, ASlotThatNobodyServesMakesNoThreadWait) {
  auto slow = std::make_unique<SlowStore>(NewModelStore(), SlowStoreOptions{false, true, {}});
  SlowStore* const disk = slow.get();
  auto store = std::make_unique<SlotStore>(std::move(slow));
  SlotStore* const slots = store.get();
  SessionHarness server(std::move(store));
  auto connection = server.Connect();
  slots->TakeDown(KeySlot("foo"));
  server.Send(*connection, Hello() + GetFrame(1, "foo") + PutFrame(2, "foo", "1", 1));
  const auto answers = connection->answers();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[1].response.errors(0).message(), "CLUSTERDOWN Hash slot not served");
  EXPECT_EQ(Code(answers[2]), StatusCode::kUnavailable);
  EXPECT_EQ(disk->waiting_reads.load(), 0);
}

}  // namespace
}  // namespace native
}  // namespace kvarts
