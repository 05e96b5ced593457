#include "net/tls/tls.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/loopback/loopback.h"
#include "net/tcp/tcp.h"
#include "net/tls/test_certificate.h"
#include "storage/fs/file_system.h"
#include "testing/conformance/transport_suite.h"

namespace kvarts {
namespace {

using testing::HasSubstr;

const TestCertificate& Certificate() {
  static const auto* const certificate = new TestCertificate(
      WriteTestCertificate(testing::TempDir() + "/server", "DNS:localhost,IP:127.0.0.1"));
  return *certificate;
}

TlsOptions GoodOptions() {
  TlsOptions options;
  options.certificate_file = Certificate().certificate_file;
  options.key_file = Certificate().key_file;
  options.ca_file = Certificate().certificate_file;
  return options;
}

constexpr absl::string_view kSecret = "0123456789abcdef";

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// TLS and what is below it as one.
class Both final : public Transport {
 public:
  explicit Both(std::unique_ptr<Transport> under)
      : under_(std::move(under)), tls_(*NewTlsTransport(under_.get(), GoodOptions())) {}
  Both(std::unique_ptr<Transport> under, absl::string_view secret)
      : under_(std::move(under)), tls_(*NewSharedSecretTransport(under_.get(), secret)) {}
  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                   absl::string_view address,
                                                   const ListenOptions& options,
                                                   AcceptCallback accept) override {
    return tls_->Listen(loops, address, options, std::move(accept));
  }
  void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
               ConnectCallback callback) override {
    tls_->Connect(loop, address, timeout, std::move(callback));
  }

 private:
  const std::unique_ptr<Transport> under_;
  const std::unique_ptr<Transport> tls_;
};

// What a writer may have in OpenSSL and in a core above the window below.
constexpr size_t kTlsAhead = 1 << 20;

TransportUnderTest MakeTlsOverTcp() {
  static const std::string* const silent = new std::string(SilentTcpAddress());
  TransportUnderTest test;
  test.transport = std::make_unique<Both>(NewTcpTransport());
  test.free_address = [] { return "tcp://127.0.0.1:0"; };
  test.nobody = *silent;
  test.bad_addresses = {"tcp://127.0.0.1", "loopback:x"};
  test.window = (16 << 20) + kTlsAhead;
  test.peer_prefix = "tcp://127.0.0.1:";
  return test;
}

TransportUnderTest MakeSecretOverTcp() {
  TransportUnderTest test = MakeTlsOverTcp();
  test.transport = std::make_unique<Both>(NewTcpTransport(), kSecret);
  return test;
}

TransportUnderTest MakeTlsOverLoopback() {
  TransportUnderTest test;
  test.transport = std::make_unique<Both>(NewLoopbackTransport());
  test.free_address = [next = std::make_shared<std::atomic<int>>(0)] {
    return absl::StrCat("loopback:test", ++*next);
  };
  test.nobody = "loopback:nobody";
  test.bad_addresses = {"loopback:", "tcp://127.0.0.1:1"};
  test.window = kLoopbackWindow + kTlsAhead;
  test.peer_prefix = "loopback:";
  return test;
}

INSTANTIATE_TEST_SUITE_P(TlsOverTcp, TransportSuite,
                         testing::ValuesIn(TransportSuiteParams("TlsOverTcp", MakeTlsOverTcp)),
                         TransportSuiteName);
INSTANTIATE_TEST_SUITE_P(SecretOverTcp, TransportSuite,
                         testing::ValuesIn(TransportSuiteParams("SecretOverTcp",
                                                                MakeSecretOverTcp)),
                         TransportSuiteName);
INSTANTIATE_TEST_SUITE_P(TlsOverLoopback, TransportSuite,
                         testing::ValuesIn(TransportSuiteParams("TlsOverLoopback",
                                                                MakeTlsOverLoopback)),
                         TransportSuiteName);

class TlsTest : public testing::Test {
 protected:
  TlsTest() : loops_(EventLoops::New(1).value()), tcp_(NewTcpTransport()) {}
  ~TlsTest() override {
    if (listener_ != nullptr) RunOn(loops_->loop(0), [this] { listener_.reset(); });
    accepted_.Update([](auto* stream) { stream->reset(); });
  }

  // A listener of `transport`, which outlives it.
  std::string Listen(Transport* transport, const ListenOptions& options = {}) {
    EventLoop* const loop = loops_->loop(0);
    auto listener = transport->Listen({loop}, "tcp://127.0.0.1:0", options,
                                      [this](std::unique_ptr<Stream> stream) {
                                        auto held = std::make_shared<TestStream>(std::move(stream));
                                        accepted_.Update([&](auto* last) { *last = held; });
                                      });
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    return listener_->address();
  }

  // The last one that was accepted, which is waited for.
  std::shared_ptr<TestStream> Accepted() {
    std::shared_ptr<TestStream> server;
    EXPECT_TRUE(accepted_.Await([&](const auto& held) {
      server = held;
      return held != nullptr;
    }));
    return server;
  }

  TestStream Connect(Transport* transport, const std::string& address) {
    Awaited<bool> done;
    std::unique_ptr<Stream> got;
    transport->Connect(loops_->loop(0), address, absl::Seconds(100),
                       [&](absl::StatusOr<std::unique_ptr<Stream>> stream) {
                         EXPECT_TRUE(stream.ok()) << stream.status();
                         if (stream.ok()) got = *std::move(stream);
                         done.Set(true);
                       });
    EXPECT_TRUE(done.AwaitValue(true));
    return TestStream(std::move(got));
  }

  // What a client that trusts `ca_file` gets.
  absl::Status ClientSees(const TlsOptions& server, const std::string& ca_file,
                          const std::string& host) {
    auto listening = NewTlsTransport(tcp_.get(), server);
    EXPECT_TRUE(listening.ok()) << listening.status();
    std::string address = Listen(listening->get());
    address = absl::StrCat("tcp://", host, address.substr(address.rfind(':')));
    TlsOptions options;
    options.ca_file = ca_file;
    auto connecting = NewTlsTransport(tcp_.get(), options);
    EXPECT_TRUE(connecting.ok()) << connecting.status();
    absl::Status status;
    {
      TestStream client = Connect(connecting->get(), address);
      status = client.Write("hello");
    }
    RunOn(loops_->loop(0), [this] { listener_.reset(); });
    accepted_.Update([](auto* stream) { stream->reset(); });
    return status;
  }

  const std::unique_ptr<EventLoops> loops_;
  const std::unique_ptr<Transport> tcp_;
  std::unique_ptr<Listener> listener_;
  Awaited<std::shared_ptr<TestStream>> accepted_;
};

TEST_F(TlsTest, CertificatesAreVerifiedWithTheirNames) {
  const std::string ca = Certificate().certificate_file;
  EXPECT_TRUE(ClientSees(GoodOptions(), ca, "127.0.0.1").ok());
  EXPECT_TRUE(ClientSees(GoodOptions(), ca, "localhost").ok());

  const auto other =
      WriteTestCertificate(testing::TempDir() + "/other", "DNS:example.org,IP:192.0.2.1");
  TlsOptions options = GoodOptions();
  options.certificate_file = other.certificate_file;
  options.key_file = other.key_file;
  for (const char* host : {"127.0.0.1", "localhost"}) {
    const absl::Status wrong_host = ClientSees(options, other.certificate_file, host);
    EXPECT_EQ(wrong_host.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(wrong_host.message(), HasSubstr("mismatch"));
  }
  const absl::Status stranger = ClientSees(options, ca, "127.0.0.1");
  EXPECT_EQ(stranger.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(stranger.message(), HasSubstr("certificate"));

  const auto old = WriteTestCertificate(testing::TempDir() + "/old", "IP:127.0.0.1", -1);
  options.certificate_file = old.certificate_file;
  options.key_file = old.key_file;
  EXPECT_THAT(ClientSees(options, old.certificate_file, "127.0.0.1").message(),
              HasSubstr("expired"));
}

TEST_F(TlsTest, FilesThatAreNotWhatTheyShouldBeAreNamed) {
  const std::string text = testing::TempDir() + "/text";
  std::ofstream(text) << "no certificate\n";
  const std::string good = Certificate().certificate_file;
  const auto other = WriteTestCertificate(testing::TempDir() + "/unlike", "DNS:x");
  // What an end shows, as listener and as client, and whom it trusts.
  const struct {
    std::string certificate;
    std::string key;
    std::string ca;
    const char* message;
  } cases[] = {
      {"", Certificate().key_file, "", "together"},
      {good, "", "", "together"},
      {"/nowhere", Certificate().key_file, "", "/nowhere: no such file"},
      {text, Certificate().key_file, "", "text: expected a certificate"},
      {good, text, "", "text: expected the private key"},
      {good, other.key_file, "", "unlike.key: expected the private key of the certificate"},
      {"", "", text, "text: expected certificates"},
  };
  for (const bool as_client : {false, true}) {
    for (const auto& c : cases) {
      TlsOptions options;
      options.ca_file = c.ca;
      (as_client ? options.client_certificate_file : options.certificate_file) = c.certificate;
      (as_client ? options.client_key_file : options.key_file) = c.key;
      const auto transport = NewTlsTransport(tcp_.get(), options);
      ASSERT_FALSE(transport.ok());
      EXPECT_THAT(transport.status().message(), HasSubstr(c.message));
    }
  }
  auto clients_only = NewTlsTransport(tcp_.get(), TlsOptions());
  ASSERT_TRUE(clients_only.ok());
  EXPECT_EQ((*clients_only)
                ->Listen({loops_->loop(0)}, "tcp://127.0.0.1:0", ListenOptions(),
                         [](std::unique_ptr<Stream>) {})
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(TlsTest, WhatIsNoTlsEndsTheServersStream) {
  auto tls = NewTlsTransport(tcp_.get(), GoodOptions());
  ASSERT_TRUE(tls.ok());
  const std::string address = Listen(tls->get());
  for (const std::string& garbage :
       {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string("*1\r\n$4\r\nPING\r\n"),
        std::string(100, '\0'), std::string("\x16\x03\x01\xff\xff", 5) + std::string(70000, 'x')}) {
    TestStream client = Connect(tcp_.get(), address);
    client.Write(garbage).IgnoreError();
    client.CloseWrite();
    std::shared_ptr<TestStream> server;
    ASSERT_TRUE(accepted_.Await([&](const auto& held) {
      server = held;
      return held != nullptr;
    }));
    EXPECT_EQ(server->Read(10).status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(server->Write("x").code(), absl::StatusCode::kUnavailable);
    server.reset();
    accepted_.Update([](auto* stream) { stream->reset(); });
  }
}

// In the protocol's words, which it has time to read, whatever else it sends.
TEST_F(TlsTest, AClientThatSpeaksPlainlyIsToldSoAndHeard) {
  auto tls = NewTlsTransport(tcp_.get(), GoodOptions());
  ASSERT_TRUE(tls.ok());
  ListenOptions options;
  options.plain_refusal = "-ERR this is a port of TLS\r\n";
  const std::string address = Listen(tls->get(), options);
  for (const char* plain : {"GET / HTTP/1.1\r\n\r\n", "*1\r\n$4\r\nPING\r\n", "x"}) {
    TestStream client = Connect(tcp_.get(), address);
    ASSERT_TRUE(client.Write(plain).ok());
    const std::shared_ptr<TestStream> server = Accepted();
    const TestStream::Pending reading = server->StartRead(10);
    const auto told = client.ReadToEnd();
    ASSERT_TRUE(told.ok()) << told.status();
    EXPECT_EQ(*told, options.plain_refusal);
    EXPECT_TRUE(client.Write(std::string(100000, 'x')).ok());
    EXPECT_EQ(reading->outcome.Get().callbacks, 0) << "it ended before its client";
    client.Destroy();
    const absl::Status ended = reading->Await();
    EXPECT_EQ(ended.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(ended.message(), "the client does not speak TLS");
    EXPECT_EQ(server->Write("x").code(), absl::StatusCode::kUnavailable);
    accepted_.Update([](auto* stream) { stream->reset(); });
  }
  // One that stays is not heard for ever.
  TestStream client = Connect(tcp_.get(), address);
  ASSERT_TRUE(client.Write("PING\r\n").ok());
  EXPECT_EQ(Accepted()->Read(10).status().message(), "the client does not speak TLS");
  // A server may leave while it tells.
  accepted_.Update([](auto* stream) { stream->reset(); });
  TestStream another = Connect(tcp_.get(), address);
  ASSERT_TRUE(another.Write("PING\r\n").ok());
  Accepted()->Close();
}

TEST_F(TlsTest, AServerThatSpeaksPlainlyIsFoundOut) {
  auto tls = NewTlsTransport(tcp_.get(), GoodOptions());
  ASSERT_TRUE(tls.ok());
  const std::string address = Listen(tcp_.get());
  for (const char* plain : {"HTTP/1.1 400 Bad Request\r\n\r\n", "-ERR what?\r\n", "\x7f"}) {
    TestStream client = Connect(tls->get(), address);
    EXPECT_TRUE(Accepted()->Write(plain).ok());
    const absl::Status told = client.Read(2).status();
    EXPECT_EQ(told.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(told.message(), "the server does not speak TLS");
    accepted_.Update([](auto* stream) { stream->reset(); });
  }
  TestStream client = Connect(tls->get(), address);
  Accepted()->CloseWrite();
  EXPECT_THAT(client.Read(2).status().message(), HasSubstr("does it speak TLS?"));
}

TEST_F(TlsTest, ACertificateIsReplacedForConnectionsToCome) {
  const std::string stem = testing::TempDir() + "/turning";
  const auto first = WriteTestCertificate(stem, "IP:127.0.0.1");
  TlsOptions options;
  options.certificate_file = first.certificate_file;
  options.key_file = first.key_file;
  auto tls = NewTlsTransport(tcp_.get(), options);
  ASSERT_TRUE(tls.ok());
  const std::string address = Listen(tls->get());
  const auto trusting = [&] {
    TlsOptions client;
    client.ca_file = first.certificate_file;  // as it is now
    return *NewTlsTransport(tcp_.get(), client);
  };
  const auto old_client = trusting();
  TestStream before = Connect(old_client.get(), address);
  ASSERT_TRUE(before.Write("before").ok());
  const std::shared_ptr<TestStream> server = Accepted();

  // Neither half alone, nor what is none.
  const std::string key = Contents(first.key_file);
  WriteTestCertificate(stem, "IP:127.0.0.1");
  const std::string new_certificate = Contents(first.certificate_file);
  const std::string new_key = Contents(first.key_file);
  std::ofstream(first.key_file) << key;
  EXPECT_THAT((*tls)->Reload().message(), HasSubstr("turning.key: expected the private key"));
  std::ofstream(first.key_file) << new_key;
  std::ofstream(first.certificate_file) << "nonsense";
  EXPECT_THAT((*tls)->Reload().message(), HasSubstr("turning.pem: expected a certificate"));
  accepted_.Update([](auto* stream) { stream->reset(); });
  TestStream meanwhile = Connect(old_client.get(), address);
  EXPECT_TRUE(meanwhile.Write("meanwhile").ok());

  std::ofstream(first.certificate_file) << new_certificate;
  EXPECT_TRUE((*tls)->Reload().ok());
  EXPECT_TRUE(Connect(trusting().get(), address).Write("after").ok());
  EXPECT_THAT(Connect(old_client.get(), address).Write("after").message(),
              HasSubstr("certificate"));
  EXPECT_EQ(server->Read(100).value_or(""), "before");
  EXPECT_TRUE(before.Write("still").ok());
  EXPECT_EQ(server->Read(100).value_or(""), "still");
}

TEST_F(TlsTest, ClientsMustHaveACertificateWhereTheServerAsks) {
  const auto known = WriteTestCertificate(testing::TempDir() + "/known", "DNS:x");
  const auto other = WriteTestCertificate(testing::TempDir() + "/stranger", "DNS:x", 3650, "other");
  TlsOptions options = GoodOptions();
  options.client_ca_file = known.certificate_file;
  auto tls = NewTlsTransport(tcp_.get(), options);
  ASSERT_TRUE(tls.ok()) << tls.status();
  const std::string address = Listen(tls->get());
  const struct {
    TestCertificate shown;
    const char* client;  // what each end is told
    const char* server;
  } cases[] = {
      {known, "", ""},
      {TestCertificate(), "asks for a certificate of the client", "did not return a certificate"},
      {other, "does not trust the certificate", "self-signed certificate"},
  };
  for (const auto& c : cases) {
    TlsOptions shows;
    shows.ca_file = Certificate().certificate_file;
    shows.client_certificate_file = c.shown.certificate_file;
    shows.client_key_file = c.shown.key_file;
    auto connecting = NewTlsTransport(tcp_.get(), shows);
    ASSERT_TRUE(connecting.ok());
    TestStream client = Connect(connecting->get(), address);
    client.Write("hello").IgnoreError();
    const std::shared_ptr<TestStream> server = Accepted();
    const TestStream::Pending reading = server->StartRead(5);
    if (*c.client == '\0') {
      EXPECT_TRUE(reading->Await().ok());
    } else {
      EXPECT_THAT(client.Read(5).status().message(), HasSubstr(c.client));
      EXPECT_EQ(reading->outcome.Get().callbacks, 0) << "it ended before its client";
      client.Destroy();
      EXPECT_THAT(reading->Await().message(), HasSubstr(c.server));
    }
    accepted_.Update([](auto* stream) { stream->reset(); });
  }
  options.certificate_file = options.key_file = "";
  EXPECT_FALSE(NewTlsTransport(tcp_.get(), options).ok());
  options = GoodOptions();
  options.client_ca_file = options.key_file;
  EXPECT_THAT(NewTlsTransport(tcp_.get(), options).status().message(),
              HasSubstr("server.key: expected certificates"));
}

TEST_F(TlsTest, AKeyOfAnotherKindIsNotTheCertificates) {
  const std::string path = testing::TempDir() + "/ed25519.key";
  EVP_PKEY* const key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  std::FILE* const file = std::fopen(path.c_str(), "w");
  ASSERT_EQ(PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr), 1);
  std::fclose(file);
  EVP_PKEY_free(key);
  TlsOptions options = GoodOptions();
  options.key_file = path;
  EXPECT_THAT(NewTlsTransport(tcp_.get(), options).status().message(),
              HasSubstr("ed25519.key: it is not the key of the certificate"));
}

TEST_F(TlsTest, BothEndsProveTheirSecret) {
  const auto new_transport = [&](absl::string_view secret) {
    auto transport = NewSharedSecretTransport(tcp_.get(), secret);
    EXPECT_TRUE(transport.ok()) << transport.status();
    return *std::move(transport);
  };
  const auto same = new_transport(kSecret);
  const auto alike = new_transport(kSecret);
  const auto other = new_transport("0123456789abcdeg");
  auto certified = NewTlsTransport(tcp_.get(), GoodOptions());
  ASSERT_TRUE(certified.ok());
  const struct {
    const char* what;
    Transport* server;
    Transport* client;
    bool is_good;
  } cases[] = {
      {"one secret", same.get(), alike.get(), true},
      {"two secrets", same.get(), other.get(), false},
      {"a client with a certificate's root", same.get(), certified->get(), false},
      {"a server with a certificate", certified->get(), same.get(), false},
      {"a client that speaks plainly", same.get(), tcp_.get(), false},
      {"a server that speaks plainly", tcp_.get(), same.get(), false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const std::string address = Listen(c.server);
    TestStream client = Connect(c.client, address);
    // Such a server never ends the handshake, which a write waits for.
    const bool is_plain = c.server == tcp_.get();
    if (!is_plain) client.Write("hello, who is there?").IgnoreError();
    std::shared_ptr<TestStream> server;
    ASSERT_TRUE(accepted_.Await([&](const auto& held) {
      server = held;
      return held != nullptr;
    }));
    if (c.is_good) {
      const auto heard = server->Read(20);
      EXPECT_TRUE(heard.ok()) << heard.status();
      EXPECT_EQ(heard.value_or(""), "hello, who is there?");
      EXPECT_TRUE(server->Write("me").ok());
      EXPECT_EQ(client.Read(2).value_or(""), "me");
    } else {
      if (is_plain) {
        EXPECT_TRUE(server->Write("-ERR what?\r\n").ok());
      } else {
        EXPECT_EQ(server->Read(20).status().code(), absl::StatusCode::kUnavailable);
      }
      if (c.client == same.get() || c.client == other.get()) {
        const absl::Status told = client.Read(2).status();
        EXPECT_EQ(told.code(), absl::StatusCode::kUnavailable);
        EXPECT_THAT(told.message(), HasSubstr("do not have one shared secret"));
      }
      server->Close();
    }
    server.reset();
    accepted_.Update([](auto* stream) { stream->reset(); });
    RunOn(loops_->loop(0), [this] { listener_.reset(); });
  }
  EXPECT_EQ(NewSharedSecretTransport(tcp_.get(), "0123456789abcde").status().code(),
            absl::StatusCode::kInvalidArgument);
}

// A peer that says nothing is told from one that is slow by the reader's deadline.
TEST_F(TlsTest, AHandshakeThatDoesNotComeEndsByTheReadersDeadline) {
  auto tls = NewTlsTransport(tcp_.get(), GoodOptions());
  ASSERT_TRUE(tls.ok());
  TestStream client = Connect(tcp_.get(), Listen(tls->get()));
  std::shared_ptr<TestStream> server;
  ASSERT_TRUE(accepted_.Await([&](const auto& held) {
    server = held;
    return held != nullptr;
  }));
  EXPECT_EQ(server->Read(10, absl::Milliseconds(20)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

// A handshake and some bytes, cut behind each byte of the client's.
TEST_F(TlsTest, ConnectionsCutAnywhereEndCleanly) {
  auto tls = NewTlsTransport(tcp_.get(), GoodOptions());
  ASSERT_TRUE(tls.ok());
  const std::string address = Listen(tls->get());
  std::vector<std::string> sent;
  {
    // The client's first flight, by OpenSSL alone.
    SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
    SSL* const ssl = SSL_new(context);
    BIO* const out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    SSL_connect(ssl);
    char* bytes = nullptr;
    const int64_t size = BIO_get_mem_data(out, &bytes);
    for (int64_t i = 0; i < size; ++i) sent.emplace_back(bytes, i);
    SSL_free(ssl);
    SSL_CTX_free(context);
  }
  ASSERT_GT(sent.size(), 100u);
  for (const std::string& part : sent) {
    TestStream client = Connect(tcp_.get(), address);
    if (!part.empty()) {
      ASSERT_TRUE(client.Write(part).ok());
    }
    client.Destroy();
    std::shared_ptr<TestStream> server;
    ASSERT_TRUE(accepted_.Await([&](const auto& held) {
      server = held;
      return held != nullptr;
    }));
    EXPECT_EQ(server->Read(10).status().code(), absl::StatusCode::kUnavailable);
    accepted_.Update([](auto* stream) { stream->reset(); });
  }
}

// A client that asks for new keys all the time and reads none of the answers must
// be held back: what it is owed waits in the server's memory.
TEST_F(TlsTest, AnswersToKeyUpdatesAreBounded) {
  const auto under = NewLoopbackTransport();
  auto tls = NewTlsTransport(under.get(), GoodOptions());
  ASSERT_TRUE(tls.ok());
  auto listener = (*tls)->Listen({loops_->loop(0)}, "loopback:x", ListenOptions(),
                                 [this](std::unique_ptr<Stream> stream) {
                                   auto held = std::make_shared<TestStream>(std::move(stream));
                                   accepted_.Update([&](auto* last) { *last = held; });
                                 });
  ASSERT_TRUE(listener.ok());
  TestStream client = Connect(under.get(), "loopback:x");
  std::shared_ptr<TestStream> server;
  ASSERT_TRUE(accepted_.Await([&](const auto& held) {
    server = held;
    return held != nullptr;
  }));
  const TestStream::Pending reading = server->StartRead(10);

  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL* const ssl = SSL_new(context);
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(in, -1);
  SSL_set_bio(ssl, in, out);
  const auto take = [out] {
    char* bytes = nullptr;
    const int64_t size = BIO_get_mem_data(out, &bytes);
    std::string taken(bytes, size);
    (void)BIO_reset(out);
    return taken;
  };
  while (SSL_connect(ssl) != 1) {
    ASSERT_TRUE(client.Write(take()).ok());
    const auto got = client.Read(64 << 10);
    ASSERT_TRUE(got.ok());
    BIO_write(in, got->data(), static_cast<int>(got->size()));
  }
  absl::Status written = client.Write(take());
  size_t bytes = 0;
  while (written.ok() && bytes < (2 << 20)) {
    for (int i = 0; i < 1000; ++i) {
      ASSERT_EQ(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
      ASSERT_EQ(SSL_do_handshake(ssl), 1);
    }
    const std::string some = take();
    bytes += some.size();
    written = client.Write(some, absl::Seconds(1));
  }
  EXPECT_FALSE(written.ok()) << bytes
                             << " bytes of key updates were taken, and answered into memory";
  SSL_free(ssl);
  SSL_CTX_free(context);
  client.Destroy();
  server.reset();
  accepted_.Update([](auto* stream) { stream->reset(); });
  RunOn(loops_->loop(0), [&] { listener->reset(); });
}

// The system call of a plain stream fails where a mapped file shrank under the
// bytes it sends. OpenSSL reads them itself: it must not send the zeros that the
// handler of SIGBUS puts there.
TEST_F(TlsTest, AMappingThatShrinksUnderAWriteIsNotSentAsZeros) {
  InstallSigbusHandler();
  const std::string path = testing::TempDir() + "/shrinks";
  std::ofstream(path) << std::string(32 << 20, 'x');
  auto map = FileSystem::Posix()->Map(path);
  ASSERT_TRUE(map.ok());
  auto tls = NewTlsTransport(tcp_.get(), GoodOptions());
  ASSERT_TRUE(tls.ok());
  TestStream client = Connect(tls->get(), Listen(tls->get()));
  std::shared_ptr<TestStream> server;
  ASSERT_TRUE(accepted_.Await([&](const auto& held) {
    server = held;
    return held != nullptr;
  }));
  const absl::string_view piece((*map)->data(), (*map)->size());
  Awaited<bool> done;
  server->On([&](Stream* stream) {
    stream->Write({&piece, 1}, absl::InfiniteDuration(), [&, stream](const absl::Status& status) {
      if (!status.ok()) stream->Close();
      done.Set(true);
    });
  });
  ASSERT_TRUE(client.ReadExactly(100000).ok());
  ASSERT_EQ(::truncate(path.c_str(), 1 << 20), 0);
  size_t zeros = 0;
  for (size_t all = 100000; all < piece.size();) {
    const auto got = client.Read(1 << 20);
    if (!got.ok() || got->empty()) break;
    all += got->size();
    zeros += std::count(got->begin(), got->end(), '\0');
  }
  EXPECT_EQ(zeros, 0u);
  EXPECT_TRUE(done.AwaitValue(true));
}

}  // namespace
}  // namespace kvarts
