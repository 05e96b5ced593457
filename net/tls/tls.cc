#include "net/tls/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "net/tls/stream_internal.h"

namespace kvarts {
namespace {

using net_internal::NewTlsStream;
using net_internal::Proof;
using net_internal::SslContextPtr;
using net_internal::SslErrors;
using net_internal::SslPtr;

// Never asks the terminal for a passphrase.
int NoPassphrase(char*, int, int, void*) { return 0; }

absl::Status FileError(absl::string_view path, absl::string_view what) {
  const std::string name(path);
  if (::access(name.c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat(path, ": no such file"));
  }
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what, ": ", SslErrors()));
}

absl::StatusOr<SslContextPtr> NewContext(const SSL_METHOD* method) {
  ERR_clear_error();
  SslContextPtr context(SSL_CTX_new(method));
  if (context == nullptr) return absl::InternalError(absl::StrCat("OpenSSL: ", SslErrors()));
  SSL_CTX* const c = context.get();
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(c, 0);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  // Buffers only while there is something in them.
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_default_passwd_cb(c, NoPassphrase);
  return context;
}

// What this end shows.
absl::Status UseCertificate(SSL_CTX* c, const std::string& certificate_file,
                            const std::string& key_file) {
  if (SSL_CTX_use_certificate_chain_file(c, certificate_file.c_str()) != 1) {
    return FileError(certificate_file, "expected a certificate in PEM");
  }
  if (SSL_CTX_use_PrivateKey_file(c, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return FileError(
        key_file, "expected the private key of the certificate, in PEM and without a passphrase");
  }
  // A key of another kind than the certificate's was not compared with it.
  if (SSL_CTX_check_private_key(c) != 1) {
    return FileError(key_file, "it is not the key of the certificate");
  }
  return absl::OkStatus();
}

// Whose certificates this end lets in.
absl::Status AskClients(SSL_CTX* c, const std::string& ca_file) {
  if (SSL_CTX_load_verify_file(c, ca_file.c_str()) != 1) {
    return FileError(ca_file, "expected certificates in PEM");
  }
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return absl::OkStatus();
}

absl::StatusOr<SslContextPtr> ServerContext(const TlsOptions& options) {
  KVARTS_ASSIGN_OR_RETURN(SslContextPtr context, NewContext(TLS_server_method()));
  KVARTS_RETURN_IF_ERROR(UseCertificate(context.get(), options.certificate_file, options.key_file));
  if (!options.client_ca_file.empty()) {
    KVARTS_RETURN_IF_ERROR(AskClients(context.get(), options.client_ca_file));
  }
  return context;
}

absl::StatusOr<SslContextPtr> ClientContext(const TlsOptions& options) {
  KVARTS_ASSIGN_OR_RETURN(SslContextPtr context, NewContext(TLS_client_method()));
  SSL_CTX* const c = context.get();
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
  if (options.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(c);
  } else if (SSL_CTX_load_verify_file(c, options.ca_file.c_str()) != 1) {
    return FileError(options.ca_file, "expected certificates in PEM");
  }
  if (!options.client_certificate_file.empty()) {
    KVARTS_RETURN_IF_ERROR(
        UseCertificate(c, options.client_certificate_file, options.client_key_file));
  }
  return context;
}

constexpr absl::string_view kPskIdentity = "kvarts";
constexpr size_t kPskBytes = 32;
// Fixed, so that a process which is asked for nothing but the secret can derive the key.
constexpr absl::string_view kPskSalt = "kvarts shared secret 1";
constexpr int kPskIterations = 100000;

using PskKey = std::array<unsigned char, kPskBytes>;

// The place of a key in a context, which owns it: streams outlive their transport.
int PskIndex() {
  static const int index =
      CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, nullptr, nullptr, nullptr,
                              // NOLINTNEXTLINE(google-runtime-int): OpenSSL's
                              [](void*, void* key, CRYPTO_EX_DATA*, int, long, void*) {
                                delete static_cast<PskKey*>(key);
                              });
  return index;
}

// A new one for each handshake, which changes it. Null: out of memory.
SSL_SESSION* NewPskSession(SSL* ssl) {
  const auto* const key =
      static_cast<const PskKey*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), PskIndex()));
  constexpr unsigned char kAes128GcmSha256[] = {0x13, 0x01};
  SSL_SESSION* const session = SSL_SESSION_new();
  if (session == nullptr) return nullptr;
  if (SSL_SESSION_set1_master_key(session, key->data(), key->size()) == 1 &&
      SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, kAes128GcmSha256)) == 1 &&
      SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1) {
    return session;
  }
  SSL_SESSION_free(session);
  return nullptr;
}

int UsePsk(SSL* ssl, const EVP_MD* digest, const unsigned char** identity, size_t* size,
           SSL_SESSION** session) {
  *session = nullptr;
  // The server wants another hash than the key is for: there is no key then.
  if (digest != nullptr && EVP_MD_get_type(digest) != NID_sha256) return 1;
  *identity = reinterpret_cast<const unsigned char*>(kPskIdentity.data());
  *size = kPskIdentity.size();
  *session = NewPskSession(ssl);
  return *session != nullptr ? 1 : 0;
}

int FindPsk(SSL* ssl, const unsigned char* identity, size_t size, SSL_SESSION** session) {
  *session = nullptr;
  if (absl::string_view(reinterpret_cast<const char*>(identity), size) != kPskIdentity) return 1;
  *session = NewPskSession(ssl);
  return *session != nullptr ? 1 : 0;
}

absl::StatusOr<SslContextPtr> SecretContext(const SSL_METHOD* method, const PskKey& key) {
  KVARTS_ASSIGN_OR_RETURN(SslContextPtr context, NewContext(method));
  SSL_CTX* const c = context.get();
  SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION);
  // The one suite that the key is for: a server picks by its own order, and drops a key of another.
  if (SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256") != 1) {
    return absl::InternalError(absl::StrCat("OpenSSL: ", SslErrors()));
  }
  auto owned = std::make_unique<PskKey>(key);
  if (SSL_CTX_set_ex_data(c, PskIndex(), owned.get()) != 1) {
    return absl::ResourceExhaustedError(SslErrors());
  }
  owned.release();  // NOLINT(bugprone-unused-return-value): the context has it
  SSL_CTX_set_psk_use_session_callback(c, UsePsk);
  SSL_CTX_set_psk_find_session_callback(c, FindPsk);
  return context;
}

// HOST of "tcp://HOST:PORT", without brackets; empty for other addresses.
std::string HostOf(absl::string_view address) {
  if (!absl::ConsumePrefix(&address, "tcp://")) return "";
  address = address.substr(0, address.rfind(':'));
  if (absl::ConsumePrefix(&address, "[")) absl::ConsumeSuffix(&address, "]");
  return std::string(address);
}

// False where OpenSSL cannot: the name would not be verified then.
bool ExpectHost(SSL* ssl, const std::string& host) {
  if (host.empty()) return true;
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1) return true;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

// What listeners show, replaced as a whole. Thread-safe.
class ServerContextHolder {
 public:
  explicit ServerContextHolder(std::shared_ptr<SSL_CTX> context) : context_(std::move(context)) {}

  std::shared_ptr<SSL_CTX> Get() const {
    MutexLock lock(&mu_);
    return context_;
  }
  void Set(std::shared_ptr<SSL_CTX> context) {
    MutexLock lock(&mu_);
    context_ = std::move(context);
  }

 private:
  mutable Mutex mu_;
  std::shared_ptr<SSL_CTX> context_ ABSL_GUARDED_BY(mu_);  // null: cannot listen
};

// Thread-safe: all but what the holder holds is constant.
class TlsTransportImpl final : public TlsTransport {
 public:
  // `options` name the files of `server`.
  TlsTransportImpl(Transport* under, TlsOptions options, SslContextPtr server, SslContextPtr client,
                   Proof proof)
      : under_(under),
        options_(std::move(options)),
        server_(std::make_shared<ServerContextHolder>(std::move(server))),
        client_(std::move(client)),
        proof_(proof) {}

  absl::Status Reload() override {
    if (options_.certificate_file.empty()) return absl::OkStatus();
    KVARTS_ASSIGN_OR_RETURN(SslContextPtr context, ServerContext(options_));
    server_->Set(std::move(context));
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                   absl::string_view address,
                                                   const ListenOptions& options,
                                                   AcceptCallback accept) override {
    if (server_->Get() == nullptr) {
      return absl::FailedPreconditionError("listening with TLS takes a certificate and its key");
    }
    return under_->Listen(
        loops, address, options,
        [server = server_, proof = proof_,
         plain_refusal = std::make_shared<const std::string>(options.plain_refusal),
         accept = std::move(accept)](std::unique_ptr<Stream> stream) mutable {
          SslPtr ssl(SSL_new(server->Get().get()));
          if (ssl == nullptr) return;  // out of memory: closes the stream
          SSL_set_accept_state(ssl.get());
          accept(NewTlsStream(std::move(stream), std::move(ssl), proof, plain_refusal));
        });
  }

  void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
               ConnectCallback callback) override {
    under_->Connect(
        loop, address, timeout,
        [context = client_, proof = proof_,
         host = proof_ == Proof::kCertificate ? HostOf(address) : "",
         callback = std::move(callback)](absl::StatusOr<std::unique_ptr<Stream>> stream) mutable {
          if (!stream.ok()) return callback(std::move(stream));
          SslPtr ssl(SSL_new(context.get()));
          if (ssl == nullptr || !ExpectHost(ssl.get(), host)) {
            return callback(absl::ResourceExhaustedError(SslErrors()));
          }
          SSL_set_connect_state(ssl.get());
          callback(NewTlsStream(*std::move(stream), std::move(ssl), proof, nullptr));
        });
  }

 private:
  Transport* const under_;
  const TlsOptions options_;
  const std::shared_ptr<ServerContextHolder> server_;
  const std::shared_ptr<SSL_CTX> client_;
  const Proof proof_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TlsTransport>> NewTlsTransport(Transport* under,
                                                              const TlsOptions& options) {
  if (options.certificate_file.empty() != options.key_file.empty() ||
      options.client_certificate_file.empty() != options.client_key_file.empty()) {
    return absl::InvalidArgumentError("a certificate and its key are given together");
  }
  if (!options.client_ca_file.empty() && options.certificate_file.empty()) {
    return absl::InvalidArgumentError(
        "who asks clients for certificates takes a certificate of its own");
  }
  SslContextPtr server;
  if (!options.certificate_file.empty()) {
    KVARTS_ASSIGN_OR_RETURN(server, ServerContext(options));
  }
  KVARTS_ASSIGN_OR_RETURN(SslContextPtr client, ClientContext(options));
  return std::make_unique<TlsTransportImpl>(under, options, std::move(server), std::move(client),
                                            Proof::kCertificate);
}

absl::StatusOr<std::unique_ptr<Transport>> NewSharedSecretTransport(Transport* under,
                                                                    absl::string_view secret) {
  if (secret.size() < kMinSecretBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a shared secret of ", secret.size(),
                                                   " bytes: expected ", kMinSecretBytes,
                                                   " or more, at random"));
  }
  PskKey key;
  if (PKCS5_PBKDF2_HMAC(secret.data(), static_cast<int>(secret.size()),
                        reinterpret_cast<const unsigned char*>(kPskSalt.data()),
                        static_cast<int>(kPskSalt.size()), kPskIterations, EVP_sha256(), kPskBytes,
                        key.data()) != 1) {
    return absl::InternalError(absl::StrCat("OpenSSL: ", SslErrors()));
  }
  KVARTS_ASSIGN_OR_RETURN(SslContextPtr server, SecretContext(TLS_server_method(), key));
  KVARTS_ASSIGN_OR_RETURN(SslContextPtr client, SecretContext(TLS_client_method(), key));
  // A server that shows a certificate instead is not trusted: there are no roots.
  SSL_CTX_set_verify(client.get(), SSL_VERIFY_PEER, nullptr);
  return std::make_unique<TlsTransportImpl>(under, TlsOptions(), std::move(server),
                                            std::move(client), Proof::kSharedSecret);
}

}  // namespace kvarts
