#include "net/tls/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "net/tls/stream_internal.h"

namespace kvarts {
namespace {

using net_internal::NewTlsStream;
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

absl::StatusOr<SslContextPtr> ServerContext(const TlsOptions& options) {
  KVARTS_ASSIGN_OR_RETURN(SslContextPtr context, NewContext(TLS_server_method()));
  SSL_CTX* const c = context.get();
  if (SSL_CTX_use_certificate_chain_file(c, options.certificate_file.c_str()) != 1) {
    return FileError(options.certificate_file, "expected a certificate in PEM");
  }
  if (SSL_CTX_use_PrivateKey_file(c, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return FileError(
        options.key_file,
        "expected the private key of the certificate, in PEM and without a passphrase");
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

// Thread-safe: all is constant.
class TlsTransport final : public Transport {
 public:
  TlsTransport(Transport* under, SslContextPtr server, SslContextPtr client)
      : under_(under), server_(std::move(server)), client_(std::move(client)) {}

  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                   absl::string_view address,
                                                   const ListenOptions& options,
                                                   AcceptCallback accept) override {
    if (server_ == nullptr) {
      return absl::FailedPreconditionError("listening with TLS takes a certificate and its key");
    }
    return under_->Listen(
        loops, address, options,
        [context = server_, accept = std::move(accept)](std::unique_ptr<Stream> stream) mutable {
          SslPtr ssl(SSL_new(context.get()));
          if (ssl == nullptr) return;  // out of memory: closes the stream
          SSL_set_accept_state(ssl.get());
          accept(NewTlsStream(std::move(stream), std::move(ssl)));
        });
  }

  void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
               ConnectCallback callback) override {
    under_->Connect(loop, address, timeout,
                    [context = client_, host = HostOf(address), callback = std::move(callback)](
                        absl::StatusOr<std::unique_ptr<Stream>> stream) mutable {
                      if (!stream.ok()) return callback(std::move(stream));
                      SslPtr ssl(SSL_new(context.get()));
                      if (ssl == nullptr || !ExpectHost(ssl.get(), host)) {
                        return callback(absl::ResourceExhaustedError(SslErrors()));
                      }
                      SSL_set_connect_state(ssl.get());
                      callback(NewTlsStream(*std::move(stream), std::move(ssl)));
                    });
  }

 private:
  Transport* const under_;
  const std::shared_ptr<SSL_CTX> server_;  // null: cannot listen
  const std::shared_ptr<SSL_CTX> client_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Transport>> NewTlsTransport(Transport* under,
                                                           const TlsOptions& options) {
  if (options.certificate_file.empty() != options.key_file.empty()) {
    return absl::InvalidArgumentError("a certificate and its key are given together");
  }
  SslContextPtr server;
  if (!options.certificate_file.empty()) {
    KVARTS_ASSIGN_OR_RETURN(server, ServerContext(options));
  }
  KVARTS_ASSIGN_OR_RETURN(SslContextPtr client, ClientContext(options));
  return std::make_unique<TlsTransport>(under, std::move(server), std::move(client));
}

}  // namespace kvarts
