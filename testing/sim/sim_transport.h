#ifndef KVARTS_TESTING_SIM_SIM_TRANSPORT_H_
#define KVARTS_TESTING_SIM_SIM_TRANSPORT_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "net/transport.h"
#include "testing/sim/world.h"

namespace kvarts {

namespace sim_internal {
class Network;
}  // namespace sim_internal

// Bytes that a simulated stream holds in each direction before its writer waits: written,
// and not known to have been read.
inline constexpr size_t kSimWindow = 64 << 10;

// How one direction between two machines behaves. A message is whatever the two systems
// send each other: bytes, "so much was read", "I have closed", a question to connect.
// Messages of one connection stay in order, those of two overtake each other.
struct SimLinkOptions {
  // A message takes from the least to the most, evenly.
  absl::Duration least_delay = absl::Microseconds(50);
  absl::Duration most_delay = absl::Microseconds(150);
  // The share of messages that are lost and sent again, after this time, then twice it, and
  // so on: what follows on the connection waits behind them, as in TCP.
  double loss = 0;
  absl::Duration resend_after = absl::Milliseconds(200);
  // The share of the bytes' messages that are cut at a random place, what is left of them
  // too: readers then see any parts of what was written.
  double cut = 0;
  // The share of messages that take their connection with them: both its ends, or who
  // asked to connect, get kUnavailable, and what was under way is lost.
  double lose_connection = 0;
  // 0: as many as one likes.
  int64_t bytes_per_second = 0;
};

struct SimNetworkStats {
  uint64_t connections = 0;  // accepted
  uint64_t messages = 0;
  uint64_t bytes = 0;             // of streams, delivered
  uint64_t lost_connections = 0;  // by lose_connection and LoseConnections()
  uint64_t stalled = 0;           // messages that came to a blocked link
};

// Not thread-safe: of its world's thread. The network of a simulated world, for all its
// processes: loops must be that world's. Addresses are "sim:NAME", and any free one where
// "sim:" is listened on. A process is reached at the addresses it listens on; faults go by
// the processes' names. May be destroyed before its streams, all before the world.
//
// Streams behave as those of TCP do. Writes end when the bytes are taken, at most kSimWindow
// ahead of the reader. A peer's Close() lets what it wrote be read, then ends the stream,
// with kUnavailable where it left bytes unread. Connecting takes at most 127 s, then it is
// kUnavailable. Left out: a stream to a machine that is gone waits for ever, where TCP
// gives up after about 15 minutes. Have deadlines.
//
// A link that is blocked holds messages back, and lets them go when it is unblocked: bytes
// stall, connects time out. Blocking one direction stalls the other soon, since it is never
// told that its bytes were read.
class SimTransport final : public Transport {
 public:
  explicit SimTransport(SimWorld* world);
  ~SimTransport() override;

  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                   absl::string_view address,
                                                   const ListenOptions& options,
                                                   AcceptCallback accept) override;
  void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
               ConnectCallback callback) override;

  // All links between two machines, later ones too, but those that have options of their
  // own. Within one machine it takes 5 to 15 µs, and has no faults unless they are its own.
  void SetLinks(const SimLinkOptions& options);
  void SetLink(absl::string_view from, absl::string_view to, const SimLinkOptions& options);

  // One direction; both. Does nothing within one machine.
  void Block(absl::string_view from, absl::string_view to);
  void Unblock(absl::string_view from, absl::string_view to);
  void Partition(absl::string_view a, absl::string_view b);
  void Rejoin(absl::string_view a, absl::string_view b);
  // Unblocks all links.
  void RejoinAll();

  // All connections between the two, as by SimLinkOptions::lose_connection. Returns how many.
  int LoseConnections(absl::string_view a, absl::string_view b);

  const SimNetworkStats& stats() const;

 private:
  const std::shared_ptr<sim_internal::Network> network_;
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_SIM_SIM_TRANSPORT_H_
