#ifndef KVARTS_NET_PASSWORD_H_
#define KVARTS_NET_PASSWORD_H_

#include "absl/strings/string_view.h"

namespace kvarts {

// Equal. Its time tells nothing about where the two differ.
bool SamePassword(absl::string_view given, absl::string_view wanted);

}  // namespace kvarts

#endif  // KVARTS_NET_PASSWORD_H_
