#include "base/text_start.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

// NOLINTNEXTLINE(misc-unused-using-decls): clang-tidy 14 does not see the literals.
using std::string_literals::operator""s;

struct Signature {
  size_t offset;
  std::string bytes;
  absl::string_view name;
};

// UTF-32 stands before UTF-16, whose mark its little-endian one begins with.
const Signature* Find(absl::string_view start) {
  static const auto* const kSignatures = new Signature[]{
      {0,
       "\xFD"
       "7zXZ\0"s,
       "xz data"},
      {0, "LZIP\x01"s, "lzip data"},
      {0, "\x04\x22\x4D\x18"s, "lz4 data"},
      {0, "\x02\x21\x4C\x18"s, "lz4 data"},
      {0, "\x1F\x9D"s, "compress data"},
      {0, "\x5D\0\0"s, "lzma data"},
      {0, "\x89LZO\0\r\n\x1A\n"s, "lzop data"},
      {0, "\xFF\x06\0\0sNaPpY"s, "snappy data"},
      {0, "PK\x03\x04"s, "a zip archive"},
      {0, "PK\x05\x06"s, "a zip archive"},
      {0, "7z\xBC\xAF\x27\x1C"s, "a 7z archive"},
      {0, "Rar!\x1A\x07"s, "a rar archive"},
      {257, "ustar\0"s, "a tar archive"},
      {257, "ustar  \0"s, "a tar archive"},
      {0, "\xFF\xFE\0\0"s, "UTF-32 text"},
      {0, "\0\0\xFE\xFF"s, "UTF-32 text"},
      {0, "\xFF\xFE"s, "UTF-16 text"},
      {0, "\xFE\xFF"s, "UTF-16 text"},
      {0, "", ""},
  };
  for (const Signature* s = kSignatures; !s->bytes.empty(); ++s) {
    if (start.size() >= s->offset && absl::StartsWith(start.substr(s->offset), s->bytes)) return s;
  }
  return nullptr;
}

// The block behind the header, of data or of the end, has a magic of its own: six bytes
// that are not all text, so that a line "BZh9..." is one.
bool IsBzip2(absl::string_view start) {
  if (!absl::StartsWith(start, "BZh") || start.size() < 10) return false;
  const absl::string_view block = start.substr(4, 6);
  return start[3] >= '1' && start[3] <= '9' &&
         (block == "\x31\x41\x59\x26\x53\x59" || block == "\x17\x72\x45\x38\x50\x90");
}

// ASCII in units of `unit` bytes, of which all but number `place` are zero.
bool IsWide(absl::string_view start, size_t unit, size_t place) {
  const size_t size = std::min<size_t>(start.size(), 64) / unit * unit;
  if (size < 8) return false;
  for (size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(start[i]);
    const bool text = absl::ascii_isprint(byte) || byte == '\t' || byte == '\n' || byte == '\r';
    if (i % unit == place ? !text : byte != 0) return false;
  }
  return true;
}

}  // namespace

size_t ByteOrderMarkBytes(absl::string_view text) {
  constexpr absl::string_view kMark = "\xEF\xBB\xBF";
  static_assert(kMark.size() == kByteOrderMarkBytes);
  return absl::StartsWith(text, kMark) ? kMark.size() : 0;
}

bool IsGzip(absl::string_view start) { return absl::StartsWith(start, "\x1F\x8B\x08"); }

bool IsZstd(absl::string_view start) {
  // Or a frame to skip, which is also one of lz4: those begin with one of their own.
  return absl::StartsWith(start, "\x28\xB5\x2F\xFD") ||
         (start.size() >= 4 && (start[0] & 0xF0) == 0x50 && start.substr(1, 3) == "\x2A\x4D\x18");
}

absl::string_view ForeignFormat(absl::string_view start) {
  if (IsGzip(start)) return "gzip data";
  if (IsZstd(start)) return "zstd data";
  if (IsBzip2(start)) return "bzip2 data";
  if (const Signature* const found = Find(start)) return found->name;
  if (IsWide(start, 4, 0) || IsWide(start, 4, 3)) return "UTF-32 text";
  if (IsWide(start, 2, 0) || IsWide(start, 2, 1)) return "UTF-16 text";
  return "";
}

absl::Status CheckTextStart(absl::string_view name, absl::string_view start) {
  const absl::string_view format = ForeignFormat(start);
  if (format.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(name, ": expected text in bytes or UTF-8, found ", format, "; ",
                   absl::StartsWith(format, "UTF") ? "convert" : "unpack", " it first"));
}

}  // namespace kvarts
