#ifndef KVARTS_NET_TLS_STREAM_INTERNAL_H_
#define KVARTS_NET_TLS_STREAM_INTERNAL_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "net/transport.h"

namespace kvarts {
namespace net_internal {

struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslPtr = std::unique_ptr<SSL, SslDeleter>;
using SslContextPtr = std::unique_ptr<SSL_CTX, SslDeleter>;

// What OpenSSL has to say about the last failure of this thread; forgets it.
std::string SslErrors();

// How ends prove who they are.
enum class Proof : unsigned char { kCertificate, kSharedSecret };

// A stream of plain bytes over `inner`, one of TLS. `ssl` has its role (client or
// server) and what it verifies, and no BIO; `proof` is for what people are told, and
// `plain_refusal` what a server tells a client that speaks plainly: null or empty, what OpenSSL
// has to say. Begins the handshake.
std::unique_ptr<Stream> NewTlsStream(std::unique_ptr<Stream> inner, SslPtr ssl, Proof proof,
                                     std::shared_ptr<const std::string> plain_refusal);

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_TLS_STREAM_INTERNAL_H_
