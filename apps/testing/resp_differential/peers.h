#ifndef KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_PEERS_H_
#define KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_PEERS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/store.h"

namespace kvarts {
namespace resp_differential {

// Not thread-safe. A server that is compared.
class Peer {
 public:
  virtual ~Peer() = default;

  // No keys, and no connections.
  virtual void Reset() = 0;
  // The whole replies to so many requests, sent at once on a connection, which is made
  // where there is none. Fewer where it ended.
  virtual std::vector<std::string> Ask(int connection, absl::string_view requests,
                                       size_t replies) = 0;
  // All that comes back to `bytes` on a connection of their own, which ends behind them.
  virtual std::string AskToTheEnd(absl::string_view bytes) = 0;
};

// Sessions in this thread, over a store that `new_store` makes anew for each sequence. With a
// password, where one is given.
std::unique_ptr<Peer> NewSessionPeer(std::function<std::unique_ptr<Store>()> new_store,
                                     const std::string& password = "");

// A server at "HOST:PORT", or "unix:PATH" of a path below `directory`. FLUSHALL must be
// allowed there; `password` is the server's.
std::unique_ptr<Peer> NewSocketPeer(const std::string& address, const std::string& directory,
                                    const std::string& password = "");

}  // namespace resp_differential
}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_RESP_DIFFERENTIAL_PEERS_H_
