#ifndef KVARTS_BASE_LANGUAGE_H_
#define KVARTS_BASE_LANGUAGE_H_

// The first include of every public header, so that a project whose compiler is told to
// take an older C++, or takes one by itself, reads what is missing and not a thousand
// lines about what follows from it. The sources of kvarts need C++20, and say so to Bazel
// themselves; whoever includes its headers needs less.
#if __cplusplus < 201703L
#error "kvarts needs C++17 or newer where its headers are included: -std=c++17, or c++20"
// An #error does not end a compilation. An include that is not there does.
#include "kvarts needs C++17 or newer"
#endif

#endif  // KVARTS_BASE_LANGUAGE_H_
