#ifndef KVARTS_NET_RESP_RDB_STRING_H_
#define KVARTS_NET_RESP_RDB_STRING_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// A string as Redis writes it to its RDB files and as DUMP's payload:
//
//   type, 1 byte: 0    the string    version, 2 bytes: 10    CRC64 of all before, 8 bytes
//
// both numbers with the low byte first. The string is a length and its bytes, or shorter:
//
//   00llllll                         bytes            01llllll llllllll             bytes
//   10000000, 4 bytes, high first    bytes            10000001, 8 bytes, high first bytes
//   110000 00, 01, 10: an integer of 1, 2 or 4 bytes, low first
//   11000011, compressed length, length: bytes of LZF, which are read and never written
namespace kvarts {
namespace resp {

// CRC-64 as Redis has it: Jones's polynomial, both ends reflected, from 0.
uint64_t Crc64(absl::string_view bytes);

std::string ToDumpPayload(absl::string_view value);

// kInvalidArgument: the version is newer, or the checksum is another; kDataLoss: what it covers is
// no object; kUnimplemented: it is not of a string; kResourceExhausted: it is over `max_bytes`.
absl::StatusOr<std::string> FromDumpPayload(absl::string_view payload, size_t max_bytes);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_RDB_STRING_H_
