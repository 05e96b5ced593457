#ifndef KVARTS_APPS_COMMON_SERVING_H_
#define KVARTS_APPS_COMMON_SERVING_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/cluster_map.h"
#include "net/transport.h"
#include "storage/store.h"

namespace kvarts {

// What flags of a server say.
struct ServingOptions {
  // Addresses of the protocols as flags write them: "tcp://HOST:PORT", "HOST:PORT",
  // "unix:PATH"; empty: not served.
  std::string listen;  // the native protocol
  std::string resp;
  std::string http;
  int threads = 1;  // loops, and as many again for a store that blocks
  bool reuse_port = false;
  int max_clients = 10000;  // of each protocol
  // Of connections that ask for nothing; 0: as each protocol has it.
  absl::Duration idle_timeout = absl::ZeroDuration();
  absl::Duration script_timeout = absl::Seconds(5);  // of EVAL, over RESP
  std::string password;                              // empty: none is asked for
  // TLS (net/tls/tls.h) on the addresses whose flags are named in the comma-separated
  // `tls`. No certificate: none.
  std::string tls_cert;
  std::string tls_key;
  std::string tls;
  std::string tls_client_ca;     // whose certificates clients must have; empty: they need none
  bool allow_flush = false;      // over RESP
  bool insecure_listen = false;  // beyond this machine without a password
  std::string served;            // the store's spec, for people
  // Of a cluster's node; outlives the serving. Null: no cluster.
  const ClusterView* cluster = nullptr;
};

// Where the protocols are served: "tcp://127.0.0.1:7700"; empty: not at all.
struct ServingAddresses {
  std::string native;
  std::string resp;
  std::string http;
};

// Serves one store over the protocols: listeners, loops, counters, in the order in
// which they must come and go. Thread-safe where it says so; else for one thread,
// which is none of the loops.
class Serving {
 public:
  // A usage error names the flag that is wrong.
  static absl::StatusOr<std::unique_ptr<Serving>> New(const ServingOptions& options);
  // Closes the store.
  virtual ~Serving() = default;

  // Takes the addresses: /livez answers from now on, RESP says that it loads, native
  // clients are told to try again. With `reuse_port` nothing yet: other processes
  // serve the ports.
  virtual absl::Status Listen() = 0;
  // Serves this store, once.
  virtual absl::Status Serve(std::unique_ptr<Store> store) = 0;
  // A cluster's node may call this once, after Serve(): RESP's commands over keys of several slots
  // then go to `all`, a store over all nodes, instead of being refused.
  virtual absl::Status ServeAllNodes(std::unique_ptr<Store> all) = 0;
  // Once it listens.
  virtual ServingAddresses addresses() const = 0;
  // For SIGHUP: the files of the certificate are read again, for who connects from now on. A
  // sentence that says what came of it: where it failed, all is as before. Empty: there are none.
  // Thread-safe.
  virtual std::string ReloadCertificate() = 0;
  // "ready native=... resp=... http=...", without newline. An address is "tls://HOST:PORT",
  // "rediss://HOST:PORT" or "https://HOST:PORT" where it is served with TLS.
  virtual std::string ReadyLine() const = 0;
  // Lets requests under way end, for `grace` at most.
  virtual void Drain(absl::Duration grace) = 0;
  // Behind Drain(): ends what is left and closes the store, which may save itself.
  virtual absl::Status Close() = 0;
  // Ends the listeners, whose sockets' files are removed, and all connections.
  virtual void Abandon() = 0;

  // For stores that are reached over a network. Lives as long as this.
  virtual Transport* transport() = 0;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_COMMON_SERVING_H_
