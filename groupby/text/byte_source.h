#ifndef KVARTS_GROUPBY_TEXT_BYTE_SOURCE_H_
#define KVARTS_GROUPBY_TEXT_BYTE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/memory_budget.h"
#include "groupby/text/interrupt.h"

namespace kvarts::groupby_text {

// Not thread-safe. Bytes from front to back. Errors name the input, and the offset where
// its bytes are wrong.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // Some bytes, as many as come at once, up to `room` (at least 1); 0 at the end.
  virtual absl::StatusOr<size_t> Read(char* to, size_t room) = 0;
  // Bytes taken so far from the file itself, compressed as it may be, and its size; 0:
  // not known.
  virtual uint64_t position() const = 0;
  virtual uint64_t size() const = 0;
  // Its bytes are what compressed ones unpack to, once Read() was called.
  virtual bool unpacks() const { return false; }
};

// A file, or "-", the standard input; nothing is waited for here. What begins as gzip or
// zstd data is decompressed, whatever its name, members and frames one after the other;
// so is, or fails, what is called NAME.gz or NAME.zst. Other compressed files, archives
// and UTF-16, also where they were packed, are kFailedPrecondition when they are read.
// `interrupt` ends waiting for a pipe. Windows of zstd above 8 MiB are reserved in
// `budget`, which may be null: then there are none.
absl::StatusOr<std::unique_ptr<ByteSource>> OpenInput(const std::string& path,
                                                      const Interrupt* interrupt,
                                                      MemoryBudget* budget);
// How errors call an input: its path, or "standard input".
std::string InputName(const std::string& path);

// The layers above. `name` begins their errors.
std::unique_ptr<ByteSource> NewGzipSource(std::string name, std::unique_ptr<ByteSource> packed);
std::unique_ptr<ByteSource> NewZstdSource(std::string name, std::unique_ptr<ByteSource> packed,
                                          MemoryBudget* budget);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_BYTE_SOURCE_H_
