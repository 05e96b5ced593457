#ifndef KVARTS_STORAGE_BLOCKS_COMPRESSION_H_
#define KVARTS_STORAGE_BLOCKS_COMPRESSION_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// How a block is kept on disk; the numbers are those of the files.
enum class Compression : unsigned char { kNone = 0, kLz4 = 1, kZstd = 2 };

// Appends `block` to `out`, compressed where that saves an eighth of it at least, and returns how
// it was done.
Compression Compress(Compression wanted, absl::string_view block, std::string* out);

// Gives a block back. kDataLoss where the bytes are none, or where they say that it has more than
// `max_bytes`, which is looked at before any memory is taken.
absl::StatusOr<std::string> Decompress(Compression how, absl::string_view bytes, size_t max_bytes);

// The same in two steps, into memory of the caller's: how many bytes the block has, and then those
// bytes, written to `out`. kDataLoss as above.
absl::StatusOr<size_t> DecompressedSize(Compression how, absl::string_view bytes, size_t max_bytes);
absl::Status DecompressTo(Compression how, absl::string_view bytes, char* out, size_t size);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BLOCKS_COMPRESSION_H_
