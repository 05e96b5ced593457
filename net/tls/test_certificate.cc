#include "net/tls/test_certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace kvarts {
namespace {

void Check(bool good) {
  if (!good) std::abort();
}

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};

void AddExtension(X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  Check(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

}  // namespace

TestCertificate WriteTestCertificate(const std::string& stem, const std::string& names, int days,
                                     const std::string& common_name) {
  constexpr int kDay = 24 * 3600;
  const std::unique_ptr<EVP_PKEY, Free> key(EVP_EC_gen("P-256"));
  const std::unique_ptr<X509, Free> certificate(X509_new());
  Check(key != nullptr && certificate != nullptr);
  X509* const c = certificate.get();
  X509_set_version(c, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
  X509_gmtime_adj(X509_getm_notBefore(c), -kDay - (days < 0 ? kDay : 0));
  X509_gmtime_adj(X509_getm_notAfter(c), int64_t{days} * kDay);
  X509_set_pubkey(c, key.get());
  X509_NAME* const name = X509_get_subject_name(c);
  if (!common_name.empty()) {
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                               0);
  }
  X509_set_issuer_name(c, name);
  AddExtension(c, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(c, NID_subject_alt_name, names);
  Check(X509_sign(c, key.get(), EVP_sha256()) > 0);

  TestCertificate files{stem + ".pem", stem + ".key"};
  const std::unique_ptr<std::FILE, Free> pem(std::fopen(files.certificate_file.c_str(), "w"));
  Check(pem != nullptr && PEM_write_X509(pem.get(), c) == 1);
  const std::unique_ptr<std::FILE, Free> secret(std::fopen(files.key_file.c_str(), "w"));
  Check(secret != nullptr &&
        PEM_write_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return files;
}

}  // namespace kvarts
