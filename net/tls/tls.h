#ifndef KVARTS_NET_TLS_TLS_H_
#define KVARTS_NET_TLS_TLS_H_

#include "base/language.h"

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/transport.h"

namespace kvarts {

struct TlsOptions {
  // What listeners show: files in PEM, the certificate first and then those that
  // lead to its root, and its key, without a passphrase. Empty: Listen() is
  // kFailedPrecondition.
  std::string certificate_file;
  std::string key_file;
  // Whose certificates listeners let in, a file in PEM: clients must have one that these vouch
  // for. Empty: no client is asked for one.
  std::string client_ca_file;
  // The roots that connections trust: a file in PEM; empty: the system's.
  std::string ca_file;
  // What connections show a server that asks for it: as the two above. Empty: nothing.
  std::string client_certificate_file;
  std::string client_key_file;
};

// Thread-safe, as each transport.
class TlsTransport : public Transport {
 public:
  // Reads the files that listeners use again: what connects from now on is shown the new
  // certificate, connections that are there go on with theirs. On an error, of the kinds of
  // NewTlsTransport(), all stays as it was. Waits for the files.
  virtual absl::Status Reload() = 0;
};

// TLS 1.2 and 1.3 (RFC 5246, RFC 8446) by OpenSSL, around another transport, which
// must outlive it and gives the addresses. Reads the files now: errors name them
// (kInvalidArgument, kNotFound).
//
// Connect() wants the certificate to be of the address's host, name or IP address
// (RFC 9525); those of unix: addresses only have to be trusted. The handshake
// begins by itself on both ends behind Connect() and accept; where it fails the
// stream's operations are kUnavailable, with why, so that it falls under the
// deadlines and limits of whoever reads. A listener's end of it fails only once the peer has
// been told why and has left, or 2 seconds have passed. Sessions are not resumed, nothing is
// renegotiated.
//
// CloseWrite() says so to the peer (close_notify). A peer that ends without it
// ends the stream as well: protocols that need to know whether all came must tell
// from their frames, as all of ours do.
//
// A stream costs OpenSSL's own 10 to 50 KB and 16 KiB while it reads.
absl::StatusOr<std::unique_ptr<TlsTransport>> NewTlsTransport(Transport* under,
                                                              const TlsOptions& options);

// Bytes that a shared secret has at least.
inline constexpr size_t kMinSecretBytes = 16;

// TLS 1.3 alone, around another transport, which must outlive it, without certificates: both ends
// prove to each other that they know `secret`, which is not sent (a pre-shared key with an
// ephemeral Diffie-Hellman exchange: RFC 8446, section 2.2), before a byte of either is read. Who
// does not know it, or speaks plainly, gets kUnavailable with a word about the secret.
//
// Whoever records a handshake can try secrets on it for as long as they like (RFC 9257, section
// 4.2): the secret should be random. kInvalidArgument where it is shorter than kMinSecretBytes;
// the key is derived from it slowly (PBKDF2, RFC 8018), which takes some 30 ms here, once.
//
// All else is as with NewTlsTransport(); any transport's addresses will do, their names are not
// looked at.
absl::StatusOr<std::unique_ptr<Transport>> NewSharedSecretTransport(Transport* under,
                                                                    absl::string_view secret);

}  // namespace kvarts

#endif  // KVARTS_NET_TLS_TLS_H_
