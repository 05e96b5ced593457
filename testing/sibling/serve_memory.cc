#include <unistd.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "net/event_loop.h"
#include "net/resp/session.h"
#include "net/server.h"
#include "net/store_runner.h"
#include "net/tcp/tcp.h"
#include "storage/memory/memory.h"

int main(int argc, char** argv) {
  const auto store = kvarts::NewMemoryStore();
  const auto tcp = kvarts::NewTcpTransport();
  kvarts::RespService resp;  // destroyed after the loops that it is called on
  const auto loops = kvarts::EventLoops::New(1).value();
  const auto runner = kvarts::StoreRunner::New(store.get(), 1).value();
  resp.SetReady(runner.get());
  const auto server = kvarts::Server::Start(
      tcp.get(), {loops->loop(0)}, argc > 1 ? argv[1] : "tcp://127.0.0.1:7379", {},
      [&resp](std::unique_ptr<kvarts::Stream> s) { return resp.NewSession(std::move(s)); });
  std::puts(server.ok() ? (*server)->address().c_str() : server.status().ToString().c_str());
  std::fflush(stdout);
  return server.ok() ? pause() : 1;
}
