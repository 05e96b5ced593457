#ifndef KVARTS_NET_TLS_TLS_H_
#define KVARTS_NET_TLS_TLS_H_

#include "base/language.h"

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "net/transport.h"

namespace kvarts {

struct TlsOptions {
  // What listeners show: files in PEM, the certificate first and then those that
  // lead to its root, and its key, without a passphrase. Empty: Listen() is
  // kFailedPrecondition.
  std::string certificate_file;
  std::string key_file;
  // The roots that connections trust: a file in PEM; empty: the system's.
  std::string ca_file;
};

// TLS 1.2 and 1.3 (RFC 5246, RFC 8446) by OpenSSL, around another transport, which
// must outlive it and gives the addresses. Reads the files now: errors name them
// (kInvalidArgument, kNotFound).
//
// Connect() wants the certificate to be of the address's host, name or IP address
// (RFC 9525); those of unix: addresses only have to be trusted. The handshake
// begins by itself on both ends behind Connect() and accept; where it fails the
// stream's operations are kUnavailable, with why, so that it falls under the
// deadlines and limits of whoever reads. Clients show no certificate. Sessions are
// not resumed, nothing is renegotiated.
//
// CloseWrite() says so to the peer (close_notify). A peer that ends without it
// ends the stream as well: protocols that need to know whether all came must tell
// from their frames, as all of ours do.
//
// A stream costs OpenSSL's own 10 to 50 KB and 16 KiB while it reads.
absl::StatusOr<std::unique_ptr<Transport>> NewTlsTransport(Transport* under,
                                                           const TlsOptions& options);

}  // namespace kvarts

#endif  // KVARTS_NET_TLS_TLS_H_
