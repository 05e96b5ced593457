// The simulated transport is a transport: it passes the suite that the others pass, with
// well-behaved links and with links that cut, reorder, delay and lose what TCP may.

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "testing/conformance/transport_suite.h"
#include "testing/sim/sim_transport.h"
#include "testing/sim/world.h"

namespace kvarts {
namespace {

// A transport that keeps the world it is of.
class TransportOfWorld final : public Transport {
 public:
  TransportOfWorld(std::shared_ptr<SimWorld> world, std::unique_ptr<SimTransport> sim)
      : world_(std::move(world)), sim_(std::move(sim)) {}
  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                   absl::string_view address,
                                                   const ListenOptions& options,
                                                   AcceptCallback accept) override {
    return sim_->Listen(loops, address, options, std::move(accept));
  }
  void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
               ConnectCallback callback) override {
    sim_->Connect(loop, address, timeout, std::move(callback));
  }

 private:
  const std::shared_ptr<SimWorld> world_;
  const std::unique_ptr<SimTransport> sim_;
};

TransportUnderTest Make(uint64_t seed, const SimLinkOptions& options) {
  auto world = std::make_shared<SimWorld>(seed);
  auto sim = std::make_unique<SimTransport>(world.get());
  SimProcess* const process = world->NewProcess("node");
  sim->SetLink("node", "node", options);
  TransportUnderTest test;
  test.transport = std::make_unique<TransportOfWorld>(world, std::move(sim));
  test.free_address = [] { return "sim:"; };
  test.nobody = "sim:nobody";
  test.bad_addresses = {"sim", "loopback:x", "tcp://127.0.0.1:1", "unix:/x", "Sim:x"};
  test.window = kSimWindow;
  test.peer_prefix = "sim:";
  test.new_loops = [world, process](int size) { return world->NewLoops(process, size); };
  test.step = [world] { return world->Step(); };
  return test;
}

TransportUnderTest MakeQuiet() { return Make(1, SimLinkOptions()); }

TransportUnderTest MakeRough() {
  SimLinkOptions options;
  options.least_delay = absl::Microseconds(1);
  options.most_delay = absl::Microseconds(300);
  options.loss = 0.01;
  // Short, for the suite's short deadlines.
  options.resend_after = absl::Microseconds(500);
  options.cut = 0.9;
  return Make(2, options);
}

INSTANTIATE_TEST_SUITE_P(Quiet, TransportSuite,
                         testing::ValuesIn(TransportSuiteParams("Quiet", MakeQuiet)),
                         TransportSuiteName);
INSTANTIATE_TEST_SUITE_P(Rough, TransportSuite,
                         testing::ValuesIn(TransportSuiteParams("Rough", MakeRough)),
                         TransportSuiteName);

}  // namespace
}  // namespace kvarts
