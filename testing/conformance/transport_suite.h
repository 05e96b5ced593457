#ifndef KVARTS_TESTING_CONFORMANCE_TRANSPORT_SUITE_H_
#define KVARTS_TESTING_CONFORMANCE_TRANSPORT_SUITE_H_

#include "base/language.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "net/transport.h"
#include "testing/conformance/transport_harness.h"
#include "testing/conformance/transport_peer.h"

namespace kvarts {

// A transport, and what the suite must know of it.
struct TransportUnderTest {
  std::unique_ptr<Transport> transport;
  // An address to listen on that is free, another one at each call unless the
  // transport picks one itself (port 0).
  std::function<std::string()> free_address;
  // Well formed, but nobody listens there.
  std::string nobody;
  // Each is kInvalidArgument to Listen() and Connect().
  std::vector<std::string> bad_addresses;
  // At most as many bytes leave a writer whose peer reads nothing.
  size_t window = 0;
  // How peer() begins.
  std::string peer_prefix;
  // So many loops for the transport; EventLoops::New() where null.
  std::function<std::unique_ptr<EventLoops>(int)> new_loops;
  // Where those have no threads: what runs them, as in WaitBySteps.
  std::function<bool()> step;
};

struct TransportSuiteParam {
  std::string name;
  std::function<TransportUnderTest()> make;
  int loops = 1;
};

inline void PrintTo(const TransportSuiteParam& param, std::ostream* out) { *out << param.name; }

// The conformance suite of transports. Link //testing/conformance:transport_suite
// and run it over a transport with
//
//   INSTANTIATE_TEST_SUITE_P(Mine, TransportSuite,
//                            testing::ValuesIn(TransportSuiteParams("Mine", make)),
//                            TransportSuiteName);
//
// It takes loops from EventLoops::New(), or from the transport's own `new_loops`.
class TransportSuite : public testing::TestWithParam<TransportSuiteParam> {
 protected:
  struct Pair {
    TestStream client;
    TestStream server;
  };

  TransportSuite();
  ~TransportSuite() override;

  Transport* transport() { return under_test_.transport.get(); }
  const TransportUnderTest& under_test() const { return under_test_; }
  EventLoops* loops() { return loops_.get(); }
  // Where clients run: another loop than the first accepted stream's, where
  // there are two.
  EventLoop* client_loop() { return loops_->loop(loops_->size() - 1); }
  std::vector<EventLoop*> all_loops();

  // Listens on all loops. What is accepted goes to Accepted(), in order.
  void Listen();
  const std::string& address() const { return address_; }
  // Destroys the listener, on its loop.
  void EndListener();
  // The next stream accepted; an empty one, and a failure, where none comes.
  TestStream Accepted();
  size_t waiting_accepted() const { return accepted_.Get().size(); }

  // Connects to address() and waits.
  TestStream Connect();
  absl::StatusOr<TestStream> Connect(const std::string& address,
                                     absl::Duration timeout = absl::InfiniteDuration());
  // A client and the server's end of it; listens first where nobody does yet.
  Pair Connected();
  // Waits until a message has gone to a new peer and back: whatever was under way
  // on the loops before had its turn.
  void Flush();

 private:
  TransportUnderTest under_test_;
  std::unique_ptr<WaitBySteps> steps_;
  std::unique_ptr<EventLoops> loops_;
  std::unique_ptr<Listener> listener_;
  std::string address_;
  // Streams wait here as pointers that the tests' end destroys on their loops.
  Awaited<std::deque<std::shared_ptr<TestStream>>> accepted_;
};

// The suite's parameters for a transport: with one loop and with two.
std::vector<TransportSuiteParam> TransportSuiteParams(
    const std::string& name, const std::function<TransportUnderTest()>& make);
std::string TransportSuiteName(const testing::TestParamInfo<TransportSuiteParam>& info);

}  // namespace kvarts

#endif  // KVARTS_TESTING_CONFORMANCE_TRANSPORT_SUITE_H_
