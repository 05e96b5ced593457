#ifndef KVARTS_BASE_SECRET_H_
#define KVARTS_BASE_SECRET_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace kvarts {

// given == wanted, for passwords: the time it takes tells nothing about where
// the two differ.
inline bool SameSecret(absl::string_view given, absl::string_view wanted) {
  volatile unsigned char difference = given.size() == wanted.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    const char w = wanted.empty() ? '\0' : wanted[i % wanted.size()];
    difference = static_cast<unsigned char>(difference | (given[i] ^ w));
  }
  return difference == 0;
}

}  // namespace kvarts

#endif  // KVARTS_BASE_SECRET_H_
