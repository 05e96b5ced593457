#ifndef KVARTS_TESTING_SIM_NETWORK_INTERNAL_H_
#define KVARTS_TESTING_SIM_NETWORK_INTERNAL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "net/accept_gate_internal.h"
#include "net/loopback/ring_internal.h"
#include "net/transport.h"
#include "testing/sim/sim_transport.h"
#include "testing/sim/world.h"

namespace kvarts {
namespace sim_internal {

class Connection;
class End;
class Network;

// One direction between two machines.
struct Link {
  SimLinkOptions options;
  bool own_options = false;
  bool blocked = false;
  absl::Duration busy_until;  // with bytes that a bandwidth holds up
};

// What one end's system tells the other's.
struct Message {
  enum Kind {
    kBytes,  // so many more have arrived
    kTaken,  // so many were read: there is room for as many
    kEnded,  // no more bytes follow
    kGone,   // the end is closed: no more bytes follow, and none are read
    kReset,  // there is no such connection here
  };
  Kind kind;
  size_t bytes = 0;
  bool unread = false;  // kGone: while there were bytes to read
};

// Callbacks that are to be destroyed unrun, once nothing is in the middle of a change.
struct Dropped {
  std::vector<Stream::ReadCallback> reads;
  std::vector<Stream::WriteCallback> writes;
  std::vector<Transport::ConnectCallback> connects;
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<std::unique_ptr<Stream>> streams;
  std::vector<std::shared_ptr<net_internal::AcceptGate>> gates;
};

// Not thread-safe. What the systems of two machines hold of a connection. Side s writes
// into halves[s]; side 1 - s reads from it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Half {
    Half(SimProcess* p, EventLoop* l, Link* k) : process(p), loop(l), link(k) {}

    SimProcess* const process;
    EventLoop* const loop;
    Link* const link;    // to the other side
    End* end = nullptr;  // null once the stream is destroyed

    // What this side wrote.
    net_internal::Ring ring{kSimWindow};  // not yet read, of which
    size_t arrived = 0;                   // so many may be read
    size_t outstanding = 0;               // as the writer knows it: not yet read
    bool ended = false;                   // the reader was told that no more follow
    bool reset = false;                   // ... and that bytes of its own were left unread
    bool discarded = false;               // nobody will read it

    // What this side knows and is.
    bool closed = false;     // it has told that it is gone
    bool peer_gone = false;  // nobody will read what it writes
    bool lost = false;       // both directions are dead
    bool crashed = false;
    bool silent = false;  // ... with its machine

    // Messages under way to the other side, each with an event, or stalled.
    std::deque<Message> path;
    int stalled = 0;
    absl::Duration last_arrival;
  };

  Connection(Network* network, uint64_t id, Half near, Half far);

  Network* network() const { return network_; }
  uint64_t id() const { return id_; }
  Half& half(int side) { return halves_[side]; }

  // So many bytes were put into the ring of `side`.
  void SendBytes(int side, size_t bytes);
  void Send(int side, const Message& message);
  // The link from `side` lets messages through again.
  void SendStalled(int side);
  // The stream of `side` has closed, or its process was killed.
  void CloseHalf(int side, bool reset);
  void Crash(int side, SimCrash crash);
  // Both ends lose it at once.
  void Lose();

 private:
  void Schedule(int side, size_t bytes);
  void Arrive(int side);
  void Deliver(int side, const Message& message);
  void Discard(int side);
  void Wake(int side);

  Network* const network_;
  const uint64_t id_;
  Half halves_[2];
};

// The streams of a connection's two sides.
std::unique_ptr<Stream> NewSimStream(std::shared_ptr<Connection> connection, int side);
// Has an end look again at what it waits for.
void WakeEnd(End* end);
// Moves an end's callbacks to `dropped`.
void DropCallbacks(End* end, Dropped* dropped);

// Not thread-safe. Who listens, which links there are, and what is under way.
class Network final : public SimObserver {
 public:
  explicit Network(SimWorld* world) : world_(world) {}

  SimWorld* world() const { return world_; }
  SimNetworkStats& stats() { return stats_; }
  Link* LinkBetween(absl::string_view from, absl::string_view to);
  // How long a message takes over the link from now on.
  absl::Duration Delay(Link* link, size_t bytes);
  bool IsDown(const std::string& machine) const { return down_.count(machine) > 0; }
  void Forget(Connection* connection) { connections_.erase(connection->id()); }

  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                   absl::string_view address,
                                                   Transport::AcceptCallback accept);
  void EndListener(const std::string& address, const net_internal::AcceptGate* gate);
  void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
               Transport::ConnectCallback callback);

  void SetLinks(const SimLinkOptions& options);
  void Block(absl::string_view from, absl::string_view to, bool blocked);
  void RejoinAll();
  int LoseConnections(absl::string_view a, absl::string_view b);

  void OnStart(SimProcess* process) override;
  void OnCrash(SimProcess* process, SimCrash crash) override;
  void OnLoopStopped(EventLoop* loop) override;

 private:
  struct Acceptor {
    SimProcess* process;
    std::vector<EventLoop*> loops;
    std::shared_ptr<net_internal::AcceptGate> gate;
    size_t next = 0;
  };
  // A Connect() that has not been answered.
  struct Attempt {
    SimProcess* process;
    EventLoop* loop;
    std::string address;
    std::string machine;  // where that is
    Transport::ConnectCallback callback;
    std::unique_ptr<Timer> timer;
    bool answering = false;          // the way back
    std::unique_ptr<Stream> stream;  // the answer, null where it was refused
    bool stalled = false;
  };

  Link* LinkOf(const Attempt& attempt);
  void Travel(uint64_t id);
  void Arrive(uint64_t id);
  void Answer(uint64_t id, Attempt* attempt);
  void Finish(uint64_t id, absl::StatusOr<std::unique_ptr<Stream>> result);
  // Lets go what a link or a machine that was away has held up.
  void SendStalled();
  std::vector<std::shared_ptr<Connection>> Connections() const;

  SimWorld* const world_;
  SimNetworkStats stats_;
  SimLinkOptions options_;
  std::map<std::pair<std::string, std::string>, Link> links_;
  std::map<std::string, Acceptor> acceptors_;    // by address
  std::map<std::string, std::string> machines_;  // of all addresses ever listened on
  std::set<std::string> down_;                   // machines
  std::map<uint64_t, Attempt> attempts_;
  std::map<uint64_t, std::shared_ptr<Connection>> connections_;
  uint64_t next_id_ = 1;
};

}  // namespace sim_internal
}  // namespace kvarts

#endif  // KVARTS_TESTING_SIM_NETWORK_INTERNAL_H_
