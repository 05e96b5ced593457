#ifndef KVARTS_CLUSTER_COORDINATOR_ETCD_CLIENT_H_
#define KVARTS_CLUSTER_COORDINATOR_ETCD_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cluster/coordinator/etcd_json.h"
#include "net/event_loop.h"
#include "net/http/client/http_client.h"
#include "net/transport.h"

namespace kvarts {

struct EtcdOptions {
  std::vector<std::string> endpoints;  // "HOST:PORT", at least one
  std::string user;                    // "": without
  std::string password;
  bool is_plain = true;  // `transport` is not one of TLS
};

// Calls on the JSON gateways of one etcd cluster. On its loop only; callbacks as HttpClient's.
//
// Before the first call over a connection the endpoint is asked which cluster it is of: an address
// that was given to another cluster gets no transaction of ours. Which one is ours is what the
// first endpoint said.
class EtcdClient {
 public:
  // `loop` and `transport` must outlive it.
  EtcdClient(EventLoop* loop, Transport* transport, EtcdOptions options);

  struct Answer {
    absl::Status status;
    // Where it is an error: it may have been done, or may yet be done.
    bool may_be_done = false;
    // Where it is an error: another try would end the same.
    bool is_final = false;
    // Nothing came in time, which says less than the error of another try.
    bool is_silence = false;
    EtcdJson body;
  };
  using Done = absl::AnyInvocable<void(Answer)>;
  // One try, at one endpoint. An error that is not final has the next call try the next one.
  void Call(absl::string_view path, std::string body, absl::Duration timeout, Done done);

  // A watch over a connection of its own; the one before ends. `hint` is called for whatever comes,
  // `ended` where nothing will any more.
  void Watch(std::string body, absl::AnyInvocable<void()> hint, absl::AnyInvocable<void()> ended);

  size_t endpoints() const { return endpoints_.size(); }

 private:
  struct Endpoint {
    std::string name;
    std::unique_ptr<HttpClient> http;
    uint64_t checked = 0;  // the connection on which the cluster's id was ours
  };
  struct Pending {
    size_t endpoint = 0;
    std::string path;
    std::string body;
    absl::Duration deadline;
    Done done;
  };
  using OwnedPending = std::unique_ptr<Pending>;

  void Check(OwnedPending pending);
  void Authenticate(OwnedPending pending);
  void Send(OwnedPending pending);
  void Finish(OwnedPending pending, Answer answer);
  HttpClientRequest RequestFor(absl::string_view path, std::string body) const;
  // What a response, or the lack of one, means for the call.
  Answer Judge(const Endpoint& endpoint, const absl::StatusOr<HttpClientResponse>& response);

  EventLoop* const loop_;
  Transport* const transport_;
  const EtcdOptions options_;
  std::string cluster_id_;
  std::string token_;
  size_t turn_ = 0;
  size_t watch_turn_ = 0;
  std::vector<Endpoint> endpoints_;
  std::unique_ptr<HttpClient> watch_;
};

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_ETCD_CLIENT_H_
