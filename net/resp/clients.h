#ifndef KVARTS_NET_RESP_CLIENTS_H_
#define KVARTS_NET_RESP_CLIENTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace kvarts {
namespace resp {

class Clients;

// Where a connection comes from and arrived.
struct ClientAddresses {
  std::string peer;     // as Stream::peer()
  std::string local;    // as StreamSocket::local; empty: not known
  int descriptor = -1;  // -1: none
};

// What of a connection's requests is there when its commands have run.
struct ClientQuery {
  int queued = -1;  // commands since MULTI; -1: there was none
  size_t queued_bytes = 0;
  size_t bytes = 0;           // received and not parsed, or of the request at hand
  size_t free_bytes = 0;      // of the buffer that they are in
  size_t capacity = 0;        // ... and all of it
  size_t argument_bytes = 0;  // beyond that buffer
};

// What waits to be sent to a connection.
struct ClientOutput {
  size_t bytes = 0;  // without those lent
  size_t lent_bytes = 0;
  size_t lent_pieces = 0;
  size_t capacity = 0;  // memory of `bytes`
  bool is_read = true;  // whether its requests are
  bool is_writing = false;
};

// Thread-safe. What other connections may know of one: a line of CLIENT LIST.
class Client {
 public:
  Client(Clients* clients, uint64_t id, ClientAddresses addresses, absl::Time now);
  ~Client();  // no longer in the list

  uint64_t id() const { return id_; }
  // "127.0.0.1:50000", or the path of a Unix socket.
  absl::string_view address() const;
  // The server's end; empty where it is not known.
  absl::string_view local_address() const;

  std::string name() const;
  void SetName(absl::string_view name);
  void SetLibraryName(absl::string_view name);
  void SetLibraryVersion(absl::string_view version);
  void set_protocol(int protocol) { protocol_.store(protocol, std::memory_order_relaxed); }
  // Lives for ever.
  void set_command(const char* command) { command_.store(command, std::memory_order_relaxed); }
  // Each by one thread at a time. Cheap: no instruction locks.
  void SetQuery(const ClientQuery& query);
  void SetOutput(const ClientOutput& output);
  // Memory that the connection always takes, with this object. Before others see it, or never.
  void set_own_bytes(size_t bytes) { own_bytes_.store(bytes, std::memory_order_relaxed); }
  void Touch(absl::Time now) { last_ms_.store(absl::ToUnixMillis(now), std::memory_order_relaxed); }

  // What the connection takes, with what waits to be carried out and sent.
  size_t memory_bytes() const;
  // As CLIENT LIST has it, without a newline.
  std::string Line(absl::Time now) const;

  // How another connection ends this one: called by any thread, at most while the
  // client is there.
  void SetKill(std::function<void()> kill);

 private:
  friend class Clients;

  Clients* const clients_;
  const uint64_t id_;
  const ClientAddresses addresses_;
  const absl::Time since_;
  std::atomic<int> protocol_{2};
  std::atomic<int64_t> last_ms_;
  std::atomic<const char*> command_{"NULL"};

  // The fields of ClientQuery and ClientOutput, each by itself: a line may be of two moments.
  struct {
    std::atomic<int> queued{-1};
    std::atomic<size_t> queued_bytes{0};
    std::atomic<size_t> bytes{0};
    std::atomic<size_t> free_bytes{0};
    std::atomic<size_t> capacity{0};
    std::atomic<size_t> argument_bytes{0};
  } query_;
  struct {
    std::atomic<size_t> bytes{0};
    std::atomic<size_t> lent_bytes{0};
    std::atomic<size_t> lent_pieces{0};
    std::atomic<size_t> capacity{0};
    std::atomic<bool> is_read{true};
    std::atomic<bool> is_writing{false};
  } output_;
  std::atomic<size_t> own_bytes_{0};

  mutable Mutex mu_;
  std::string name_ ABSL_GUARDED_BY(mu_);
  std::string library_name_ ABSL_GUARDED_BY(mu_);
  std::string library_version_ ABSL_GUARDED_BY(mu_);
  std::function<void()> kill_ ABSL_GUARDED_BY(mu_);
};

// Which clients are meant: those that fit all that is said.
struct ClientFilter {
  bool none = false;
  std::optional<uint64_t> id;
  const std::set<uint64_t>* ids = nullptr;
  std::optional<std::string> address;
  std::optional<std::string> local_address;
  uint64_t but = 0;  // 0: nobody is spared

  bool Fits(const Client& client) const;
};

// Thread-safe. The connections of a service.
class Clients {
 public:
  // In the list until the client's end, which must come before this object's.
  std::shared_ptr<Client> Add(ClientAddresses addresses, absl::Time now);

  size_t size() const;
  uint64_t accepted() const;  // since the start
  size_t memory_bytes() const;

  // Of the `most` that came first, each on a line.
  std::string List(absl::Time now, const ClientFilter& filter, size_t most) const;
  // Ends them, but for `own`, which is told. Returns how many.
  size_t Kill(const ClientFilter& filter, uint64_t own, bool* own_too);

 private:
  friend class Client;
  void Remove(uint64_t id);

  mutable Mutex mu_;
  uint64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uint64_t, Client*> clients_ ABSL_GUARDED_BY(mu_);
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENTS_H_
