#ifndef KVARTS_APPS_STORES_H_
#define KVARTS_APPS_STORES_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/progress.h"
#include "net/transport.h"
#include "storage/spec.h"

namespace kvarts {

struct StoresOptions {
  // For stores behind a network. Must outlive all stores.
  Transport* transport = nullptr;
  // Builds an index that is absent, stale or damaged. Without it that is an
  // error, which names the command to run.
  bool build_indexes = false;
  bool skip_malformed = false;       // lines, for such a build
  ProgressSink* progress = nullptr;  // of such a build; may be null
  // Where sentences about it go, for people; may be null.
  std::function<void(absl::string_view)> say;
};

// Every store that the programs know, by name: the one place where they are
// wired. To add one, add a line in stores.cc. Opening one is kInvalidArgument
// for a bad spec only.
StoreFactories AllStores(const StoresOptions& options);

// A server, or a cluster, for who drives connections to it by hand.
struct NetworkServer {
  enum class Protocol : unsigned char { kNative = 0, kResp, kCluster };

  Protocol protocol = Protocol::kNative;
  std::string address;             // as the transport has it
  std::vector<std::string> seeds;  // instead of it, of a cluster: some of its nodes' HOST:PORT
  std::string password;
  bool expiry = false;  // of a RESP server: as a store, it has it
  // Of it alone, for TLS; null: the one that was handed in.
  std::shared_ptr<Transport> own_transport;
};

// The server or cluster that a spec names, or nothing for a store that is none. A coordinator that
// is named instead of nodes is asked for them.
absl::StatusOr<std::optional<NetworkServer>> FindServer(Transport* transport, StoreSpec spec);

// The spec of a data file: "my data" is "bisect:my%20data".
std::string DataFileSpec(absl::string_view path);

// The data file of a store that can be opened again beside itself when the file
// was replaced; empty for other stores.
std::string ReloadableDataFile(absl::string_view spec);

// `word` as a shell takes it for one word: quoted where it has to be.
std::string ShellQuote(absl::string_view word);

}  // namespace kvarts

#endif  // KVARTS_APPS_STORES_H_
