#include "apps/testing/cluster_fixture.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/slot.h"
#include "cluster/client/cluster_store.h"
#include "net/remote/remote_store.h"
#include "net/tcp/tcp.h"

namespace kvarts {
namespace {

constexpr int kBatch = 1000;
constexpr size_t kCounters = 8;  // of a thread
// Between looks at the table: each takes its lock, which nodes need to move slots.
constexpr absl::Duration kLookPause = absl::Milliseconds(20);

// Every slot is somebody's who serves it, and nothing is left to be done.
bool IsAtRest(const std::string& json) {
  for (const char* what : {"slots_moving", "slots_to_drop", "slots_to_empty", "slots_unassigned"}) {
    if (NumberIn(json, what) != 0) return false;
  }
  return true;
}

}  // namespace

std::string TestValue(int i) { return absl::StrCat("value ", i, " of a key"); }

int NumberIn(const std::string& json, absl::string_view name) {
  const size_t at = json.find(absl::StrCat("\"", name, "\":"));
  int number = -1;
  if (at == std::string::npos) return number;
  const std::string rest = json.substr(at + name.size() + 3);
  if (!absl::SimpleAtoi(rest.substr(0, rest.find_first_not_of("-0123456789")), &number)) return -1;
  return number;
}

ClusterFixture::ClusterFixture() : tcp_(NewTcpTransport()) {}
ClusterFixture::~ClusterFixture() = default;

void ClusterFixture::Create(const std::vector<std::string>& flags) {
  const ProcessResult made = Cluster("create", flags);
  ASSERT_EQ(made.exit_code, 0) << made.err;
}

ProcessResult ClusterFixture::Cluster(const std::string& command,
                                      const std::vector<std::string>& more) {
  std::vector<std::string> words = {"apps/kv_cluster", absl::StrCat("--coordinator=", table_),
                                    command};
  words.insert(words.end(), cluster_flags_.begin(), cluster_flags_.end());
  words.insert(words.end(), more.begin(), more.end());
  return RunProcess(words);
}

std::unique_ptr<TestServer> ClusterFixture::Start(const std::string& store,
                                                  const std::vector<std::string>& more) {
  std::vector<std::string> words = {"apps/kv_node", absl::StrCat("--coordinator=", table_),
                                    absl::StrCat("--store=", store), "--join_delay=0s",
                                    "--threads=2"};
  words.insert(words.end(), more.begin(), more.end());
  return std::make_unique<TestServer>(words, dir_);
}

std::map<std::string, NodeLine> ClusterFixture::Nodes(const std::string& json) {
  std::map<std::string, NodeLine> nodes;
  const size_t list = json.find("\"nodes\":[");
  if (list == std::string::npos) return nodes;
  for (const absl::string_view part : absl::StrSplit(json.substr(list + 9), "{\"id\":\"")) {
    const std::string node(part);
    const size_t resp = node.find("\"resp\":\"");
    if (resp == std::string::npos) continue;
    NodeLine& line = nodes[node.substr(resp + 8, node.find('"', resp + 8) - resp - 8)];
    line.id = node.substr(0, 40);
    line.slots = NumberIn(node, "slots");
    line.keys = NumberIn(node, "keys");
    line.is_alive = absl::StrContains(node, "\"alive\":true");
  }
  return nodes;
}

int ClusterFixture::SumOfKeys(const std::string& json) {
  int sum = 0;
  for (const auto& [resp, line] : Nodes(json)) sum += line.keys;
  return sum;
}

std::string ClusterFixture::AwaitEven(int nodes) {
  std::string json;
  for (const absl::Time end = absl::Now() + kClusterPatience; absl::Now() < end;) {
    const ProcessResult status = Cluster("status", {"--json"});
    json = status.out;
    int even = 0;
    for (const auto& [resp, line] : Nodes(json)) {
      if (line.is_alive && line.slots >= kSlots / nodes && line.slots <= kSlots / nodes + 1) {
        ++even;
      }
    }
    if (status.exit_code == 0 && even == nodes && IsAtRest(json)) {
      return json;
    }
    absl::SleepFor(kLookPause);
  }
  ADD_FAILURE() << "the cluster is not even after a long time: " << json;
  return json;
}

std::string ClusterFixture::AwaitRest() {
  std::string json;
  for (const absl::Time end = absl::Now() + kClusterPatience; absl::Now() < end;) {
    const ProcessResult status = Cluster("status", {"--json"});
    json = status.out;
    if (status.exit_code == 0 && IsAtRest(json)) {
      return json;
    }
    absl::SleepFor(kLookPause);
  }
  ADD_FAILURE() << "slots are on their way after a long time: " << json;
  return json;
}

std::unique_ptr<Store> ClusterFixture::Client(const TestServer& node, absl::Duration timeout) {
  ClusterStoreOptions options;
  options.timeout = timeout;
  auto store = OpenClusterStore(tcp_.get(), {std::string(absl::StripPrefix(node.native, "tcp://"))},
                                options);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

void ClusterFixture::Fill(Store* store, int keys) {
  for (int first = 0; first < keys; first += kBatch) {
    std::vector<std::string> bytes;
    bytes.reserve(2 * kBatch);
    WriteBatch batch;
    for (int i = first; i < std::min(keys, first + kBatch); ++i) {
      bytes.push_back(TestKey(i));
      bytes.push_back(TestValue(i));
      batch.Put(bytes[bytes.size() - 2], bytes.back());
    }
    const absl::Status status = store->Write(batch, WriteOptions(), nullptr);
    ASSERT_TRUE(status.ok()) << status;
  }
}

void ClusterFixture::ExpectAll(Store* store, int keys) {
  int wrong = 0;
  for (int first = 0; first < keys; first += kBatch) {
    std::vector<std::string> asked;
    for (int i = first; i < std::min(keys, first + kBatch); ++i) asked.push_back(TestKey(i));
    const std::vector<absl::string_view> views(asked.begin(), asked.end());
    ReadResults results;
    store->MultiGet(views, ReadOptions(), &results);
    for (size_t i = 0; i < asked.size(); ++i) {
      if (results[i].status.ok() && results[i].found &&
          results[i].value == TestValue(first + static_cast<int>(i))) {
        continue;
      }
      if (++wrong < 5) {
        ADD_FAILURE() << asked[i] << " " << results[i].status << " found " << results[i].found
                      << " value \"" << results[i].value << "\"";
      }
    }
  }
  EXPECT_EQ(wrong, 0);
}

int ClusterFixture::CountByScan(const std::vector<const TestServer*>& nodes) {
  int count = 0;
  for (const TestServer* const node : nodes) {
    const auto store = OpenRemoteStore(tcp_.get(), node->native);
    EXPECT_TRUE(store.ok()) << store.status();
    if (!store.ok()) return -1;
    ScanOptions scan;
    scan.keys_only = true;
    const auto cursor = (*store)->NewCursor(scan);
    EXPECT_TRUE(cursor.ok()) << cursor.status();
    if (!cursor.ok()) return -1;
    ScanPage page;
    do {
      const absl::Status status = (*cursor)->Next(PageLimits(), &page);
      EXPECT_TRUE(status.ok()) << status;
      count += static_cast<int>(page.size());
    } while (!page.empty());
  }
  return count;
}

std::string ClusterFixture::Ask(const std::string& resp, absl::string_view request) {
  TestSocket socket(resp, dir_);
  EXPECT_TRUE(socket.connected());
  socket.Send(absl::StrCat(request, "\r\nQUIT\r\n"));
  std::string all = socket.ReceiveAll();
  return all.size() > 5 ? all.substr(0, all.size() - 5) : all;
}

std::string ClusterFixture::WriteSecret(const std::string& name, absl::string_view contents) {
  const std::string path = absl::StrCat(dir_, "/", name);
  WriteTestFile(path, contents);
  return absl::StrCat("--cluster_password_file=", path);
}

Counting::Counting(const std::function<std::unique_ptr<Store>()>& open, int threads)
    : threads_(static_cast<size_t>(threads)) {
  for (Thread& thread : threads_) {
    thread.store = open();
    thread.counts.resize(kCounters, 0);
    thread.may_be_more.resize(kCounters, false);
  }
  for (size_t t = 0; t < threads_.size(); ++t) {
    threads_[t].thread = std::thread([this, t] { Run(t); });
  }
}

void Counting::Stop() {
  stop_ = true;
  for (Thread& thread : threads_) {
    if (thread.thread.joinable()) thread.thread.join();
  }
}

std::string Counting::first_error() const {
  for (const Thread& thread : threads_) {
    if (!thread.first_error.empty()) return thread.first_error;
  }
  return "";
}

void Counting::ExpectExact(Store* store) {
  for (size_t t = 0; t < threads_.size(); ++t) {
    for (size_t k = 0; k < kCounters; ++k) {
      const auto value = store->Get(Key(t, k));
      ASSERT_TRUE(value.ok()) << value.status();
      const int count = threads_[t].counts[k];
      const std::string found = value->value_or("0");
      if (threads_[t].may_be_more[k] && found == absl::StrCat(count + 1)) continue;
      EXPECT_EQ(found, absl::StrCat(count)) << Key(t, k);
    }
  }
}

int64_t Counting::sum() const {
  int64_t sum = 0;
  for (const Thread& thread : threads_) {
    for (const int count : thread.counts) sum += count;
  }
  return sum;
}

int Counting::keys() const { return static_cast<int>(threads_.size() * kCounters); }

std::string Counting::Key(size_t t, size_t k) { return absl::StrCat("counter ", t, " ", k); }

void Counting::Run(size_t t) {
  Thread& thread = threads_[t];
  const auto note = [&thread](std::atomic<int>* kind, const std::string& text) {
    ++*kind;
    if (thread.first_error.empty()) thread.first_error = text;
  };
  for (size_t n = 0; !stop_; ++n) {
    const size_t k = n % kCounters;
    int& count = thread.counts[k];
    const absl::Status put = thread.store->Put(Key(t, k), absl::StrCat(count + 1));
    if (!put.ok()) {
      thread.may_be_more[k] = true;
      note(&errors_, put.ToString());
      continue;
    }
    ++count;
    thread.may_be_more[k] = false;
    const auto value = thread.store->Get(Key(t, k));
    if (!value.ok()) {
      note(&errors_, value.status().ToString());
    } else if (value->value_or("") != absl::StrCat(count)) {
      note(&wrong_,
           absl::StrCat("read ", value->value_or("(absent)"), " where ", count, " was written"));
    }
  }
}

}  // namespace kvarts
