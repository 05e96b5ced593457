#ifndef KVARTS_NET_RESP_SESSION_H_
#define KVARTS_NET_RESP_SESSION_H_

#include "base/language.h"

#include <cstdint>
#include <memory>

#include "net/resp/options.h"
#include "net/server.h"
#include "net/store_runner.h"

namespace kvarts {

struct RespStats {
  uint64_t commands = 0;
  uint64_t connections = 0;
  uint64_t clients = 0;
  uint64_t hits = 0;  // keys asked for that were there
  uint64_t misses = 0;
};

// Thread-safe. RESP2 and RESP3 over a store: README.md says which commands.
// Before SetReady() commands that need a store are answered by -LOADING.
class RespService {
 public:
  explicit RespService(const RespOptions& options = {});
  ~RespService();

  // Once. `runner` must outlive all sessions.
  void SetReady(StoreRunner* runner);

  // For a node of a cluster: `runner` is that of a store over all nodes, which waits for them on
  // threads of its own. MGET, MSET, DEL, EXISTS and UNLINK of keys of several slots go to it, and
  // are not CROSSSLOT from now on. Once, at any time behind SetReady(); it must outlive all
  // sessions.
  void SetAllNodes(StoreRunner* runner);

  // A SessionFactory. The service must outlive the sessions, and the loops and the
  // runner on which they run.
  std::unique_ptr<Session> NewSession(std::unique_ptr<Stream> stream);

  RespStats stats() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_RESP_SESSION_H_
