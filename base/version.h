#ifndef KVARTS_BASE_VERSION_H_
#define KVARTS_BASE_VERSION_H_

#include "base/language.h"

namespace kvarts {

// What --version prints, the native protocol's hello tells, and MODULE.bazel
// repeats (a test compares them). What a change of it means: docs/versions.md.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace kvarts

#endif  // KVARTS_BASE_VERSION_H_
