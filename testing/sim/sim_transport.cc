#include "testing/sim/sim_transport.h"

#include <glog/logging.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "testing/sim/network_internal.h"

namespace kvarts {
namespace sim_internal {
namespace {

constexpr absl::string_view kScheme = "sim:";

// What TCP takes on Linux, by default, until it gives up connecting.
constexpr absl::Duration kLongestConnect = absl::Seconds(127);

class SimListener final : public Listener {
 public:
  SimListener(Network* network, std::string address, std::shared_ptr<net_internal::AcceptGate> gate)
      : network_(network), address_(std::move(address)), gate_(std::move(gate)) {}
  ~SimListener() override {
    network_->EndListener(address_, gate_.get());
    gate_->Close();
  }
  std::string address() const override { return address_; }

 private:
  Network* const network_;
  const std::string address_;
  const std::shared_ptr<net_internal::AcceptGate> gate_;
};

absl::Status BadAddress(absl::string_view address) {
  return absl::InvalidArgumentError(absl::StrCat("bad address '", address, "': expected sim:NAME"));
}

bool IsAddress(absl::string_view address, bool may_be_any) {
  return absl::ConsumePrefix(&address, kScheme) && (may_be_any || !address.empty());
}

absl::Status CannotConnect(absl::string_view address, absl::StatusCode code,
                           absl::string_view why) {
  return absl::Status(code, absl::StrCat("cannot connect to ", address, ": ", why));
}

}  // namespace

Link* Network::LinkBetween(absl::string_view from, absl::string_view to) {
  const auto [it, added] = links_.try_emplace({std::string(from), std::string(to)});
  Link* const link = &it->second;
  if (added && from != to) link->options = options_;
  if (added && from == to) {
    link->options.least_delay = absl::Microseconds(5);
    link->options.most_delay = absl::Microseconds(15);
  }
  return link;
}

absl::Duration Network::Delay(Link* link, size_t bytes) {
  const SimLinkOptions& options = link->options;
  absl::Duration delay = world_->Between(options.least_delay, options.most_delay);
  // Bounded, so that a link that loses all has messages that are late, not none.
  absl::Duration again = options.resend_after;
  for (int i = 0; i < 10 && world_->Chance(options.loss); ++i, again *= 2) delay += again;
  if (options.bytes_per_second > 0) {
    const absl::Duration time =
        absl::Seconds(static_cast<double>(bytes) / static_cast<double>(options.bytes_per_second));
    link->busy_until = std::max(link->busy_until, world_->Now()) + time;
    delay += link->busy_until - world_->Now();
  }
  return delay;
}

absl::StatusOr<std::unique_ptr<Listener>> Network::Listen(absl::Span<EventLoop* const> loops,
                                                          absl::string_view address,
                                                          Transport::AcceptCallback accept) {
  if (!IsAddress(address, true)) return BadAddress(address);
  if (loops.empty()) return absl::InvalidArgumentError("no loops to listen on");
  SimProcess* const process = world_->ProcessOf(loops[0]);
  for (EventLoop* const loop : loops) {
    CHECK(process != nullptr && world_->ProcessOf(loop) == process) << "loops of one process";
  }
  if (process->crashed()) return absl::UnavailableError("the process has crashed");
  std::string name(address);
  while (name == kScheme || (address == kScheme && machines_.count(name) > 0)) {
    name = absl::StrCat(kScheme, process->name(), ":", next_id_++);
  }
  auto gate = std::make_shared<net_internal::AcceptGate>(std::move(accept));
  Acceptor acceptor{process, {loops.begin(), loops.end()}, gate};
  if (!acceptors_.emplace(name, std::move(acceptor)).second) {
    return absl::AlreadyExistsError(absl::StrCat("cannot listen on ", address, ": in use"));
  }
  machines_[name] = process->name();
  return std::make_unique<SimListener>(this, std::move(name), std::move(gate));
}

void Network::EndListener(const std::string& address, const net_internal::AcceptGate* gate) {
  const auto it = acceptors_.find(address);
  // After a crash, another process may listen there.
  if (it != acceptors_.end() && it->second.gate.get() == gate) acceptors_.erase(it);
}

void Network::Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
                      Transport::ConnectCallback callback) {
  SimProcess* const process = world_->ProcessOf(loop);
  CHECK(process != nullptr) << "a loop of this world";
  absl::Status status;
  if (!IsAddress(address, false)) {
    status = BadAddress(address);
  } else if (timeout <= absl::ZeroDuration()) {
    status = CannotConnect(address, absl::StatusCode::kDeadlineExceeded, "timed out");
  }
  if (!status.ok()) {
    loop->Post([status, callback = std::move(callback)]() mutable { callback(status); });
    return;
  }
  // Nobody would be told of its end.
  if (world_->HasStopped(loop)) return;
  const uint64_t id = next_id_++;
  Attempt& attempt = attempts_[id];
  attempt.process = process;
  attempt.loop = loop;
  attempt.address = std::string(address);
  const auto machine = machines_.find(attempt.address);
  // A name that nobody has had is answered by the process's own machine.
  attempt.machine = machine == machines_.end() ? process->name() : machine->second;
  attempt.callback = std::move(callback);
  attempt.timer = loop->NewTimer();
  const bool own_deadline = timeout <= kLongestConnect;
  attempt.timer->Start(std::min(timeout, kLongestConnect), [this, id, own_deadline] {
    Finish(id, CannotConnect(attempts_[id].address,
                             own_deadline ? absl::StatusCode::kDeadlineExceeded
                                          : absl::StatusCode::kUnavailable,
                             "timed out"));
  });
  Travel(id);
}

Link* Network::LinkOf(const Attempt& attempt) {
  return attempt.answering ? LinkBetween(attempt.machine, attempt.process->name())
                           : LinkBetween(attempt.process->name(), attempt.machine);
}

// The question, or its answer, is on its way.
void Network::Travel(uint64_t id) {
  world_->After(Delay(LinkOf(attempts_[id]), 0), [this, id] { Arrive(id); });
}

void Network::Arrive(uint64_t id) {
  const auto it = attempts_.find(id);
  if (it == attempts_.end()) return;
  Attempt& attempt = it->second;
  Link* const link = LinkOf(attempt);
  if (link->blocked || (!attempt.answering && IsDown(attempt.machine))) {
    attempt.stalled = true;
    ++stats_.stalled;
    return;
  }
  world_->Trace(id * 8 + (attempt.answering ? 6 : 5));
  ++stats_.messages;
  if (world_->Chance(link->options.lose_connection)) {
    ++stats_.lost_connections;
    return Finish(id, CannotConnect(attempt.address, absl::StatusCode::kUnavailable, "lost"));
  }
  if (!attempt.answering) return Answer(id, &attempt);
  if (attempt.stream == nullptr) {
    return Finish(
        id, CannotConnect(attempt.address, absl::StatusCode::kUnavailable, "nobody listens there"));
  }
  Finish(id, std::move(attempt.stream));
}

// The question has come to the machine.
void Network::Answer(uint64_t id, Attempt* attempt) {
  attempt->answering = true;
  const auto it = acceptors_.find(attempt->address);
  if (it != acceptors_.end()) {
    Acceptor& acceptor = it->second;
    EventLoop* const loop = acceptor.loops[acceptor.next++ % acceptor.loops.size()];
    // Taken before the answer leaves: the address may have moved since the question did.
    attempt->machine = acceptor.process->name();
    const std::string& client = attempt->process->name();
    const std::string& server = acceptor.process->name();
    auto connection = std::make_shared<Connection>(
        this, id, Connection::Half(attempt->process, attempt->loop, LinkBetween(client, server)),
        Connection::Half(acceptor.process, loop, LinkBetween(server, client)));
    connections_[id] = connection;
    ++stats_.connections;
    attempt->stream = NewSimStream(connection, 0);
    loop->Post([gate = acceptor.gate, stream = NewSimStream(connection, 1)]() mutable {
      gate->Accept(std::move(stream));
    });
  }
  Travel(id);
}

void Network::Finish(uint64_t id, absl::StatusOr<std::unique_ptr<Stream>> result) {
  const auto it = attempts_.find(id);
  if (it == attempts_.end()) return;
  // Destroyed at the end: this may run in its timer, and its stream may have others to tell.
  Attempt attempt = std::move(it->second);
  attempts_.erase(it);
  attempt.loop->Post([callback = std::move(attempt.callback),
                      result = std::move(result)]() mutable { callback(std::move(result)); });
}

void Network::SetLinks(const SimLinkOptions& options) {
  options_ = options;
  for (auto& [names, link] : links_) {
    if (!link.own_options && names.first != names.second) link.options = options;
  }
}

void Network::Block(absl::string_view from, absl::string_view to, bool blocked) {
  if (from == to) return;
  LinkBetween(from, to)->blocked = blocked;
  if (!blocked) SendStalled();
}

void Network::RejoinAll() {
  for (auto& [names, link] : links_) link.blocked = false;
  SendStalled();
}

void Network::SendStalled() {
  for (const auto& connection : Connections()) {
    for (const int side : {0, 1}) connection->SendStalled(side);
  }
  for (auto& [id, attempt] : attempts_) {
    if (!attempt.stalled || LinkOf(attempt)->blocked) continue;
    attempt.stalled = false;
    Travel(id);
  }
}

int Network::LoseConnections(absl::string_view a, absl::string_view b) {
  int lost = 0;
  for (const auto& connection : Connections()) {
    const std::string& first = connection->half(0).process->name();
    const std::string& second = connection->half(1).process->name();
    if (!((first == a && second == b) || (first == b && second == a))) continue;
    connection->Lose();
    ++lost;
  }
  return lost;
}

void Network::OnStart(SimProcess* process) {
  if (down_.erase(process->name()) == 0) return;
  for (const auto& connection : Connections()) {
    for (const int side : {0, 1}) {
      const Connection::Half& half = connection->half(side);
      const Connection::Half& peer = connection->half(1 - side);
      // What the peer sends again meets a machine that knows nothing of it.
      if (half.silent && half.process->name() == process->name() && peer.outstanding > 0) {
        connection->Send(side, {Message::kReset});
      }
    }
  }
  SendStalled();
}

void Network::OnCrash(SimProcess* process, SimCrash crash) {
  if (crash == SimCrash::kSilent) down_.insert(process->name());
  for (const auto& connection : Connections()) {
    for (const int side : {0, 1}) {
      if (connection->half(side).process == process) connection->Crash(side, crash);
    }
  }
}

void Network::OnLoopStopped(EventLoop* loop) {
  Dropped dropped;
  for (const auto& connection : Connections()) {
    for (const int side : {0, 1}) {
      const Connection::Half& half = connection->half(side);
      if (half.loop == loop && half.end != nullptr) DropCallbacks(half.end, &dropped);
    }
  }
  for (auto it = attempts_.begin(); it != attempts_.end();) {
    Attempt& attempt = it->second;
    if (attempt.loop != loop) {
      ++it;
      continue;
    }
    dropped.connects.push_back(std::move(attempt.callback));
    dropped.timers.push_back(std::move(attempt.timer));
    dropped.streams.push_back(std::move(attempt.stream));
    it = attempts_.erase(it);
  }
  SimProcess* const process = world_->ProcessOf(loop);
  for (auto it = acceptors_.begin(); process->crashed() && it != acceptors_.end();) {
    if (it->second.process != process) {
      ++it;
      continue;
    }
    dropped.gates.push_back(std::move(it->second.gate));
    it = acceptors_.erase(it);
  }
  for (const auto& gate : dropped.gates) gate->Close();
}

std::vector<std::shared_ptr<Connection>> Network::Connections() const {
  std::vector<std::shared_ptr<Connection>> all;
  for (const auto& [id, connection] : connections_) all.push_back(connection);
  return all;
}

}  // namespace sim_internal

SimTransport::SimTransport(SimWorld* world)
    : network_(std::make_shared<sim_internal::Network>(world)) {
  world->AddObserver(network_);
}

SimTransport::~SimTransport() = default;

absl::StatusOr<std::unique_ptr<Listener>> SimTransport::Listen(absl::Span<EventLoop* const> loops,
                                                               absl::string_view address,
                                                               const ListenOptions& options,
                                                               AcceptCallback accept) {
  return network_->Listen(loops, address, std::move(accept));
}

void SimTransport::Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
                           ConnectCallback callback) {
  network_->Connect(loop, address, timeout, std::move(callback));
}

void SimTransport::SetLinks(const SimLinkOptions& options) { network_->SetLinks(options); }

void SimTransport::SetLink(absl::string_view from, absl::string_view to,
                           const SimLinkOptions& options) {
  sim_internal::Link* const link = network_->LinkBetween(from, to);
  link->options = options;
  link->own_options = true;
}

void SimTransport::Block(absl::string_view from, absl::string_view to) {
  network_->Block(from, to, true);
}

void SimTransport::Unblock(absl::string_view from, absl::string_view to) {
  network_->Block(from, to, false);
}

void SimTransport::Partition(absl::string_view a, absl::string_view b) {
  Block(a, b);
  Block(b, a);
}

void SimTransport::Rejoin(absl::string_view a, absl::string_view b) {
  Unblock(a, b);
  Unblock(b, a);
}

void SimTransport::RejoinAll() { network_->RejoinAll(); }

int SimTransport::LoseConnections(absl::string_view a, absl::string_view b) {
  return network_->LoseConnections(a, b);
}

const SimNetworkStats& SimTransport::stats() const { return network_->stats(); }

}  // namespace kvarts
