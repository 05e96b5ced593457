#include "net/password.h"

namespace kvarts {

bool SamePassword(absl::string_view given, absl::string_view wanted) {
  volatile unsigned char difference = given.size() == wanted.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    const char w = wanted.empty() ? '\0' : wanted[i % wanted.size()];
    difference = static_cast<unsigned char>(difference | (given[i] ^ w));
  }
  return difference == 0;
}

}  // namespace kvarts
