#ifndef KVARTS_BASE_TEXT_START_H_
#define KVARTS_BASE_TEXT_START_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// What the first bytes of a text file say, for everything that reads one: a byte order
// mark is no part of the text, and a compressed file or one in UTF-16 is no text at all.
// Both are told here alone, so that no reader takes such bytes for a key.

// Enough of the beginning for ForeignFormat(); a shorter file is given whole.
inline constexpr size_t kTextStartBytes = 512;

// The bytes of a UTF-8 byte order mark in front of `text`: all of one, or 0.
inline constexpr size_t kByteOrderMarkBytes = 3;
size_t ByteOrderMarkBytes(absl::string_view text);

// What a file that begins with `start` is instead of a text of bytes, as errors call it:
// "gzip data", "UTF-16 text"; "" where nothing speaks against a text. Only signatures that
// no line of text begins with are known: each holds bytes that are not printed, but for
// UTF-16 and UTF-32 without a byte order mark, which are known by their zero bytes among
// at least eight bytes of ASCII.
absl::string_view ForeignFormat(absl::string_view start);
// kFailedPrecondition, which names the file and the format, where there is one.
absl::Status CheckTextStart(absl::string_view name, absl::string_view start);

// The two that group_by can unpack.
bool IsGzip(absl::string_view start);
bool IsZstd(absl::string_view start);

}  // namespace kvarts

#endif  // KVARTS_BASE_TEXT_START_H_
