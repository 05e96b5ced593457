#ifndef KVARTS_APPS_TESTING_CLUSTER_FIXTURE_H_
#define KVARTS_APPS_TESTING_CLUSTER_FIXTURE_H_

#include "base/language.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gtest/gtest.h"
#include "net/transport.h"
#include "storage/store.h"

namespace kvarts {

// How long a test of a cluster waits for what must come.
inline constexpr absl::Duration kClusterPatience = absl::Seconds(kSanitized ? 200 : 60);

// The value that Fill() gives TestKey(i).
std::string TestValue(int i);

// The number behind the first `"name":` of JSON; -1 where there is none.
int NumberIn(const std::string& json, absl::string_view name);

// What `kv_cluster status --json` says of a node.
struct NodeLine {
  std::string id;
  int slots = 0;
  int keys = 0;
  bool is_alive = false;
};

// Not thread-safe. A cluster whose table is a file in the test's directory, and the programs that
// make it, started by name: apps/kv_cluster and apps/kv_node must be in the test's data.
class ClusterFixture : public testing::Test {
 protected:
  void Create(const std::vector<std::string>& flags = {});
  // Runs kv_cluster to its end.
  ProcessResult Cluster(const std::string& command, const std::vector<std::string>& more = {});
  // Starts kv_node, which takes its share at once where `more` does not say --manual.
  std::unique_ptr<TestServer> Start(const std::string& store,
                                    const std::vector<std::string>& more = {});
  // A store on disk, of which there is one for each number.
  std::string Sstable(int i) const { return absl::StrCat("sstable:", dir_, "/store", i); }

  // By RESP address, out of JSON of status.
  static std::map<std::string, NodeLine> Nodes(const std::string& json);
  static int SumOfKeys(const std::string& json);
  // Until nothing moves and `nodes` of them are alive and have slots as even as can be. Returns
  // the status.
  std::string AwaitEven(int nodes);
  // Until no slot is on its way, nor left to be dropped, nor of nobody. Returns the status.
  std::string AwaitRest();

  // Over all nodes, by what `node` knows of them.
  std::unique_ptr<Store> Client(const TestServer& node, absl::Duration timeout = absl::Seconds(10));
  // TestKey(i) of `keys` entries.
  static void Fill(Store* store, int keys);
  static void ExpectAll(Store* store, int keys);
  // What the nodes show, one by one: stores on a disk only estimate how many entries they have.
  int CountByScan(const std::vector<const TestServer*>& nodes);
  // The answer to one inline command on a connection of its own, as it comes.
  std::string Ask(const std::string& resp, absl::string_view request);
  // A file with a password, as a flag.
  std::string WriteSecret(const std::string& name, absl::string_view contents);

  const std::string dir_ = TestDirectory();
  std::string table_ = absl::StrCat("file:", dir_, "/table");  // the coordinator's SPEC
  std::vector<std::string> cluster_flags_;                     // of kv_cluster
  const std::unique_ptr<Transport> tcp_;

  ClusterFixture();
  ~ClusterFixture() override;
};

// Clients that count, each in keys of its own, from the constructor to Stop(). Not thread-safe.
class Counting {
 public:
  Counting(const std::function<std::unique_ptr<Store>()>& open, int threads);
  ~Counting() { Stop(); }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;

  void Stop();
  int errors() const { return errors_; }
  // How often what was read is not what was written: never an error of a node that is down.
  int wrong() const { return wrong_; }
  // Of either.
  std::string first_error() const;

  // What was counted, and nothing else, is in the store; of a write that ended in an error it is
  // not known. After Stop().
  void ExpectExact(Store* store);
  int64_t sum() const;
  int keys() const;

 private:
  struct Thread {
    std::unique_ptr<Store> store;
    std::vector<int> counts;
    std::vector<bool> may_be_more;  // by one
    std::string first_error;
    std::thread thread;
  };

  static std::string Key(size_t t, size_t k);
  void Run(size_t t);

  std::vector<Thread> threads_;
  std::atomic<bool> stop_{false};
  std::atomic<int> errors_{0};
  std::atomic<int> wrong_{0};
};

}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_CLUSTER_FIXTURE_H_
