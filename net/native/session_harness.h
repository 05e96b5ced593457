#ifndef KVARTS_NET_NATIVE_SESSION_HARNESS_H_
#define KVARTS_NET_NATIVE_SESSION_HARNESS_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "net/native/frame.h"
#include "net/native/native.pb.h"
#include "net/native/session.h"
#include "net/scripted.h"
#include "net/store_runner.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace native {

// Bytes of requests.
inline std::string Hello(absl::string_view client_id = "client", absl::string_view password = "") {
  std::string out;
  AppendPreamble(&out);
  ClientHello hello;
  hello.set_client_id(std::string(client_id));
  hello.set_password(std::string(password));
  AppendFrameHead(hello, 0, &out);
  return out;
}

inline std::string ToFrame(const Request& request, absl::string_view payload = "") {
  std::string out;
  AppendFrameHead(request, payload.size(), &out);
  return out.append(payload.data(), payload.size());
}

inline Request NewRequest(uint64_t id, Operation operation) {
  Request request;
  request.set_id(id);
  request.set_operation(operation);
  return request;
}

inline std::string GetFrame(uint64_t id, absl::string_view key) {
  Request request = NewRequest(id, GET);
  request.add_key_sizes(static_cast<uint32_t>(key.size()));
  return ToFrame(request, key);
}

inline std::string PutFrame(uint64_t id, absl::string_view key, absl::string_view value,
                            uint64_t sequence = 0, uint64_t first_unacknowledged = 0) {
  Request request = NewRequest(id, WRITE);
  Write* const write = request.mutable_write();
  write->set_sequence(sequence);
  write->set_first_unacknowledged(first_unacknowledged);
  Mutation* const mutation = write->add_mutations();
  mutation->set_key_size(static_cast<uint32_t>(key.size()));
  mutation->set_value_size(static_cast<uint32_t>(value.size()));
  return ToFrame(request, std::string(key) + std::string(value));
}

// An answer, and the bytes behind its header.
struct Answer {
  Response response;
  std::string payload;
};

// What a server wrote, preamble and all. Stops at the first incomplete frame.
inline std::vector<Answer> ReadAnswers(absl::string_view bytes, bool with_preamble = true) {
  std::vector<Answer> answers;
  FrameReader reader(kMaxAnswerHeaderBytes, kMaxAnswerBytes);
  bool preamble = !with_preamble;
  do {
    const absl::Span<char> space = reader.Space();
    const size_t n = std::min(space.size(), bytes.size());
    std::copy_n(bytes.begin(), n, space.begin());
    bytes.remove_prefix(n);
    reader.Filled(n);
    Versions versions;
    if (!preamble) {
      auto whole = reader.NextPreamble(&versions);
      if (!whole.ok() || !*whole) return answers;
      preamble = true;
    }
    Frame frame;
    while (true) {
      auto whole = reader.Next(&frame);
      if (!whole.ok() || !*whole) break;
      Answer answer;
      if (!answer.response.ParseFromArray(frame.header.data(),
                                          static_cast<int>(frame.header.size()))) {
        return answers;
      }
      answer.payload = std::string(frame.payload);
      answers.push_back(std::move(answer));
    }
  } while (!bytes.empty());
  return answers;
}

// For tests. A server's session in the test's own thread. A connection is made
// with Connect(), several at once if need be.
class SessionHarness {
 public:
  struct Connection {
    std::shared_ptr<Wire> wire = std::make_shared<Wire>();
    ScriptedStream* stream = nullptr;  // owned by the session
    std::unique_ptr<Session> session;  // null once it has ended
    bool over() const { return session == nullptr; }
    std::vector<Answer> answers() const { return ReadAnswers(wire->written); }
  };

  explicit SessionHarness(NativeServerOptions options = {}, Capabilities has = ModelCapabilities())
      : SessionHarness(NewModelStore([&] {
                         ModelStoreOptions model;
                         model.capabilities = has;
                         return model;
                       }()),
                       options) {}
  explicit SessionHarness(std::unique_ptr<Store> store, NativeServerOptions options = {})
      : store_(std::move(store)),
        runner_(StoreRunner::New(store_.get(), 1).value()),
        held_(store_.get()),
        factory_(NewNativeSessions(
            store_->capabilities().may_block ? static_cast<StoreRunner*>(&held_) : runner_.get(),
            options)) {}

  std::unique_ptr<Connection> Connect() {
    auto connection = std::make_unique<Connection>();
    auto stream = std::make_unique<ScriptedStream>(&loop_, connection->wire);
    connection->stream = stream.get();
    connection->session = factory_(std::move(stream));
    connection->session->Start([c = connection.get()] { c->session.reset(); });
    loop_.Run();
    return connection;
  }

  void Send(Connection& connection, absl::string_view bytes) {
    connection.wire->to_read.append(bytes.data(), bytes.size());
    Move(connection);
  }
  void End(Connection& connection) {
    connection.wire->ended = true;
    Move(connection);
  }
  void Move(Connection& connection) {
    if (!connection.over()) connection.stream->Moved();
    loop_.Run();
  }

  ScriptedLoop& loop() { return loop_; }
  Store& store() { return *store_; }
  HeldRunner& held() { return held_; }

 private:
  const std::unique_ptr<Store> store_;
  ScriptedLoop loop_;
  const std::unique_ptr<StoreRunner> runner_;
  HeldRunner held_;
  const SessionFactory factory_;
};

}  // namespace native
}  // namespace kvarts

#endif  // KVARTS_NET_NATIVE_SESSION_HARNESS_H_
