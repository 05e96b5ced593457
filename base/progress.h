#ifndef KVARTS_BASE_PROGRESS_H_
#define KVARTS_BASE_PROGRESS_H_

#include "base/language.h"

#include <cstdint>

#include "absl/strings/string_view.h"

namespace kvarts {

// Thread-safe. Where long work tells how far it is. Cheap enough to be called
// once for every 64 KiB or thousand records of work.
class ProgressSink {
 public:
  virtual ~ProgressSink() = default;

  // `done` of `total` units of `phase` are done; `unit` is "bytes" or
  // "records". A total of 0 is unknown. A new phase ends the one before it.
  virtual void Report(absl::string_view phase, absl::string_view unit, uint64_t done,
                      uint64_t total) = 0;

  // A few words beside what is reported from now on: "5.1 M rows/s, 1.2 GiB spilled".
  virtual void Note(absl::string_view /*note*/) {}
};

}  // namespace kvarts

#endif  // KVARTS_BASE_PROGRESS_H_
