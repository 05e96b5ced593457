#ifndef KVARTS_NET_RESP_CLIENT_STORE_LINK_H_
#define KVARTS_NET_RESP_CLIENT_STORE_LINK_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "net/resp/client/client.h"
#include "net/resp/client/resp_store.h"
#include "net/waiting.h"
#include "storage/store.h"

namespace kvarts {
namespace resp_client {

using WaitingCall = kvarts::WaitingCall<Call>;

// Thread-safe. The connection that a store and its cursors share; the last of
// them ends it, on a thread that is not the loop's.
class StoreLink {
 public:
  static absl::StatusOr<std::shared_ptr<StoreLink>> Open(Transport* transport,
                                                         absl::string_view address,
                                                         const RespStoreOptions& options);
  ~StoreLink();

  // What the server is asked of each key, beside its value.
  bool expiry() const { return options_.expiry; }
  // The time a call with this timeout has.
  absl::Duration Timeout(absl::Duration asked) const {
    return asked == absl::InfiniteDuration() ? options_.timeout : asked;
  }
  void Start(const std::shared_ptr<WaitingCall>& call, absl::Duration timeout);

  // MultiGet of newest values, each error its key's own. `value` false: only
  // whether a key is there, and its expiry.
  void Read(absl::Span<const absl::string_view> keys, bool value, absl::Duration timeout,
            ReadResults* results);

 private:
  StoreLink(Transport* transport, absl::string_view address, const RespStoreOptions& options,
            std::unique_ptr<EventLoops> own_loops);

  const RespStoreOptions options_;
  const std::unique_ptr<EventLoops> own_loops_;  // null where one was given
  EventLoop* const loop_;
  const std::shared_ptr<Client> client_;
};

}  // namespace resp_client
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_STORE_LINK_H_
