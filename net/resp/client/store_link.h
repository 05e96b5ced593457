#ifndef KVARTS_NET_RESP_CLIENT_STORE_LINK_H_
#define KVARTS_NET_RESP_CLIENT_STORE_LINK_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "net/resp/client/client.h"
#include "net/resp/client/resp_store_options.h"
#include "net/transport.h"
#include "net/waiting.h"
#include "storage/store.h"

namespace kvarts {
namespace resp_client {

using WaitingCall = kvarts::WaitingCall<Call>;

// One pipeline of writes has so much at most.
inline constexpr size_t kMutationsPerCall = 1024;
inline constexpr size_t kBytesPerCall = 1 << 20;

// What a store can do whose entries are what servers of the Redis protocol hold.
Capabilities CapabilitiesOf(const RespStoreOptions& options);
// That it can do this.
absl::Status CheckRead(const ReadOptions& options);

// Thread-safe. Where a scan's keys get their values from: the server itself, or a cluster of which
// it is a node.
class ValueSource {
 public:
  virtual ~ValueSource() = default;
  // What is asked of each key, beside its value.
  virtual bool expiry() const = 0;
  // The time a call with this timeout has.
  virtual absl::Duration Timeout(absl::Duration asked) const = 0;
  // MultiGet of newest values, each error its key's own. `value` false: only
  // whether a key is there, and its expiry.
  virtual void Read(absl::Span<const absl::string_view> keys, bool value, absl::Duration timeout,
                    ReadResults* results) = 0;
};

// Thread-safe. The connection that a store and its cursors share; the last of
// them ends it, on a thread that is not the loop's.
class StoreLink final : public ValueSource {
 public:
  static absl::StatusOr<std::shared_ptr<StoreLink>> Open(Transport* transport,
                                                         absl::string_view address,
                                                         const RespStoreOptions& options);
  // Waits for nothing: calls find out whether the server is there, and end where it is not.
  // REQUIRES: a loop in the options.
  static std::shared_ptr<StoreLink> New(Transport* transport, absl::string_view address,
                                        const RespStoreOptions& options);
  ~StoreLink() override;

  const std::string& address() const { return client_->address(); }
  bool expiry() const override { return options_.expiry; }
  absl::Duration Timeout(absl::Duration asked) const override {
    return asked == absl::InfiniteDuration() ? options_.timeout : asked;
  }
  void Start(const std::shared_ptr<WaitingCall>& call, absl::Duration timeout);

  void Read(absl::Span<const absl::string_view> keys, bool value, absl::Duration timeout,
            ReadResults* results) override;

 private:
  StoreLink(Transport* transport, absl::string_view address, const RespStoreOptions& options,
            bool waits, std::unique_ptr<EventLoops> own_loops);

  const RespStoreOptions options_;               // with its own transport, if any: the last to go
  const std::unique_ptr<EventLoops> own_loops_;  // null where one was given
  EventLoop* const loop_;
  const std::shared_ptr<Client> client_;
};

}  // namespace resp_client
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_STORE_LINK_H_
