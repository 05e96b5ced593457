// Serves an empty model store, which takes writes, over the native protocol and
// RESP: for tests of clients. Prints a ready line; ends at a signal.

#include <cstdio>
#include <memory>
#include <utility>

#include "apps/common/address.h"
#include "apps/common/stop_signal.h"
#include "net/event_loop.h"
#include "net/native/session.h"
#include "net/resp/session.h"
#include "net/server.h"
#include "net/store_runner.h"
#include "net/tcp/tcp.h"
#include "storage/store.h"
#include "testing/model/model_store.h"

int main(int argc, char** argv) {
  using namespace kvarts;  // NOLINT: a test's main()
  const std::unique_ptr<StopSignal> stop = StopSignal::New().value();
  RespOptions resp_options;
  resp_options.allow_flush = true;
  RespService resp(resp_options);
  const std::unique_ptr<Transport> transport = NewTcpTransport();
  const std::unique_ptr<EventLoops> loops = EventLoops::New(1).value();
  const std::unique_ptr<Store> store = NewModelStore();
  const std::unique_ptr<StoreRunner> runner = StoreRunner::New(store.get(), 1).value();
  absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Start(transport.get(), {loops->loop(0)}, "tcp://127.0.0.1:0", ServerOptions(),
                    NewNativeSessions(runner.get()));
  resp.SetReady(runner.get());
  absl::StatusOr<std::unique_ptr<Server>> resp_server = Server::Start(
      transport.get(), {loops->loop(0)}, "tcp://127.0.0.1:0", ServerOptions(),
      [&](std::unique_ptr<Stream> stream) { return resp.NewSession(std::move(stream)); });
  if (!server.ok() || !resp_server.ok()) return 1;
  std::printf("ready native=%s resp=%s\n", (*server)->address().c_str(),
              WithoutTcp((*resp_server)->address()).c_str());
  std::fflush(stdout);
  stop->Wait();
  resp_server->reset();
  server->reset();
  loops->Stop();
  return 0;
}
