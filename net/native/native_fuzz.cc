#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "net/client/scripted_server.h"
#include "net/native/client.h"
#include "net/native/session_harness.h"
#include "net/scripted.h"

// Bytes of a stranger, to either side of the native protocol. The first byte of
// the input says which side and how the bytes come; the rest are the bytes.
namespace kvarts {
namespace native {
namespace {

// Feeds what is left of the input to `wire`, in pieces of at most `step` bytes.
template <typename Moved>
void Feed(absl::string_view bytes, size_t step, Wire* wire, Moved moved) {
  while (!bytes.empty() && !wire->closed) {
    const size_t n = std::min(step, bytes.size());
    wire->to_read.append(bytes.data(), n);
    bytes.remove_prefix(n);
    moved();
  }
  wire->ended = true;
  moved();
}

// The server's side. With `hello`, the bytes come behind a good one.
void FuzzServer(absl::string_view bytes, size_t step, bool hello, bool may_block) {
  Capabilities has = ModelCapabilities();
  has.may_block = may_block;
  SessionHarness harness({}, has);
  const auto connection = harness.Connect();
  if (hello) harness.Send(*connection, Hello() + PutFrame(1, "key", "value", 1, 1));
  Feed(bytes, step, connection->wire.get(), [&] {
    harness.Move(*connection);
    harness.held().RunHeld();
  });
  harness.held().RunHeld();
  harness.loop().Advance(absl::Minutes(1));
  if (!connection->over()) __builtin_trap();  // the peer has ended, nothing is left
}

class CountedCall final : public ClientCall {
 public:
  explicit CountedCall(int* done) : done_(done) {}

 private:
  absl::Status OnAnswer(const Response&, absl::string_view, FrameReader*) override {
    return absl::OkStatus();
  }
  void OnDone(const absl::Status&) override { ++*done_; }
  int* const done_;
};

// The client's side, with two calls that must end, whatever a server says.
void FuzzClient(absl::string_view bytes, size_t step, bool hello) {
  client::ScriptedServer server;
  const auto client = Client::New(&server, &server.loop(), "scripted:", {});
  bool opened = false;
  client->Open([&](const absl::StatusOr<ServerHello>&) { opened = true; });
  server.loop().Run();
  server.set_listens(false);  // only once
  if (hello) {
    std::string good;
    AppendPreamble(&good);
    Response response;
    response.mutable_hello()->set_max_in_flight(10);
    AppendFrameHead(response, 0, &good);
    server.Reply(good);
    if (!opened) __builtin_trap();
  }
  int done = 0;
  for (const Operation operation : {GET, WRITE}) {
    auto call = std::make_shared<CountedCall>(&done);
    Request request = NewRequest(client->NewId(), operation);
    if (operation == WRITE) request.mutable_write()->set_sequence(1);
    call->SetRequest(request, {});
    client->Start(std::move(call), absl::Seconds(20));
  }
  server.loop().Run();
  Feed(bytes, step, &server.wire(), [&] { server.Reply(""); });
  server.loop().Advance(absl::Minutes(1));
  client->Shutdown();
  if (done != 2 || !opened) __builtin_trap();
}

}  // namespace
}  // namespace native
}  // namespace kvarts

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t how = data[0];
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t step = (how & 8) != 0 ? 1 + (how >> 4) : SIZE_MAX;
  const bool hello = (how & 2) != 0;
  if ((how & 1) != 0) {
    kvarts::native::FuzzClient(bytes, step, hello);
  } else {
    kvarts::native::FuzzServer(bytes, step, hello, (how & 4) != 0);
  }
  return 0;
}
