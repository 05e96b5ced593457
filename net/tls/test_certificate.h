#ifndef KVARTS_NET_TLS_TEST_CERTIFICATE_H_
#define KVARTS_NET_TLS_TEST_CERTIFICATE_H_

#include <string>

namespace kvarts {

// Files in PEM of a certificate that signs itself, so that it is its own root.
struct TestCertificate {
  std::string certificate_file;
  std::string key_file;
};

// Writes STEM.pem and STEM.key. `names` as OpenSSL has them, "DNS:localhost,
// IP:127.0.0.1"; it is good for `days` from yesterday on, none where negative. Its subject is
// `common_name`; "": nothing.
TestCertificate WriteTestCertificate(const std::string& stem, const std::string& names,
                                     int days = 3650,
                                     const std::string& common_name = "kvarts test");

}  // namespace kvarts

#endif  // KVARTS_NET_TLS_TEST_CERTIFICATE_H_
