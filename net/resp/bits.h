#ifndef KVARTS_NET_RESP_BITS_H_
#define KVARTS_NET_RESP_BITS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

// Bits of a value, as Redis counts them: bit 0 is the highest of the first byte. Behind the
// value's end all are 0.
namespace kvarts {
namespace resp {

bool BitAt(absl::string_view value, uint64_t bit);
// REQUIRES: the value has that bit.
void SetBitAt(std::string* value, uint64_t bit, bool on);

// A number of `bits` (1 to 64) from `offset` on, the highest bit first.
uint64_t BitsAt(absl::string_view value, uint64_t offset, int bits);
// REQUIRES: the value has those bits.
void SetBitsAt(std::string* value, uint64_t offset, int bits, uint64_t number);

// How many are 1, from `first` to `last`, both of them counted. REQUIRES: the value has `last`.
uint64_t CountBits(absl::string_view value, uint64_t first, uint64_t last);
// The first that is `wanted` from `first` to `last`; -1: none is. REQUIRES: the value has `last`.
int64_t FindBit(absl::string_view value, bool wanted, uint64_t first, uint64_t last);

enum class BitOperation : unsigned char { kAnd, kOr, kXor };
// `value` becomes what the operation makes of it and `other`; the shorter one goes on in zeros.
void CombineBits(BitOperation operation, absl::string_view other, std::string* value);
void InvertBits(std::string* value);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_BITS_H_
