#ifndef KVARTS_NET_REMOTE_LINK_H_
#define KVARTS_NET_REMOTE_LINK_H_

#include <cstdint>
#include <memory>
#include <unordered_set>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/native/client.h"
#include "net/native/native.pb.h"
#include "net/remote/calls.h"
#include "net/remote/remote_store.h"
#include "net/remote/requests.h"
#include "storage/capabilities.h"

namespace kvarts {
namespace remote {

// Prolongs the leases of snapshots in the background. On the client's loop only.
class LeaseKeeper {
 public:
  explicit LeaseKeeper(std::shared_ptr<native::Client> client);
  void Keep(uint64_t id, absl::Duration lease);
  void LetGo(uint64_t id);

 private:
  void Renew();
  void Send(native::Operation operation, uint64_t id);

  const std::shared_ptr<native::Client> client_;
  const std::unique_ptr<Timer> timer_;
  absl::Duration period_ = absl::InfiniteDuration();
  std::unordered_set<uint64_t> ids_;
};

// Thread-safe. The connection that a remote store, its cursors and its snapshots
// share; the last of them ends it, on a thread that is not the loop's.
class Link {
 public:
  static absl::StatusOr<std::shared_ptr<Link>> Open(Transport* transport, absl::string_view address,
                                                    const RemoteOptions& options);
  ~Link();

  const native::ServerHello& server() const { return server_; }
  const Capabilities& capabilities() const { return capabilities_; }
  // Whether the server cares for its store's files where it is asked to.
  bool has_maintenance() const;
  native::Client& client() { return *client_; }

  // The time a call with this timeout has.
  absl::Duration Timeout(absl::Duration asked) const {
    return asked == absl::InfiniteDuration() ? timeout_ : asked;
  }

  // A request with a number, the operation and the timeout.
  native::Request NewRequest(native::Operation operation, absl::Duration timeout) {
    return remote::NewRequest(client_.get(), operation, timeout);
  }
  void Start(const std::shared_ptr<WaitingCall>& call, absl::Duration timeout);

  // Sends a request without a payload and waits. Errors of the server too.
  absl::StatusOr<native::Response> Ask(const native::Request& request, absl::Duration timeout);

  void KeepLease(uint64_t id, absl::Duration lease);
  void LetGoLease(uint64_t id);

 private:
  Link(Transport* transport, absl::string_view address, const RemoteOptions& options,
       std::unique_ptr<EventLoops> own_loops);
  absl::Status Handshake();

  const std::shared_ptr<Transport> own_transport_;  // null, mostly; the last to go
  const absl::Duration timeout_;
  const std::unique_ptr<EventLoops> own_loops_;  // null where one was given
  EventLoop* const loop_;
  const std::shared_ptr<native::Client> client_;
  std::unique_ptr<LeaseKeeper> leases_;  // on the loop

  // Constant after Open().
  native::ServerHello server_;
  Capabilities capabilities_;
};

}  // namespace remote
}  // namespace kvarts

#endif  // KVARTS_NET_REMOTE_LINK_H_
