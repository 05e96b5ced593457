#include "storage/memory/key_hash.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kvarts::memory_internal {

#if defined(__x86_64__)

// Every processor with AES has the others too.
#define KVARTS_WITH_AES __attribute__((target("aes,sse4.1,ssse3")))

namespace {

KVARTS_WITH_AES __m128i NextRoundKey(__m128i key, __m128i assist) {
  assist = _mm_shuffle_epi32(assist, 0xff);
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, assist);
}

KVARTS_WITH_AES void ExpandKey(const HashSeed& seed, unsigned char (*round_keys)[16]) {
  __m128i key = _mm_set_epi64x(static_cast<int64_t>(seed.k1), static_cast<int64_t>(seed.k0));
  const auto keep = [&key, &round_keys] {
    _mm_store_si128(reinterpret_cast<__m128i*>(*round_keys++), key);
  };
  keep();
  // The instruction wants its constant in the code.
  key = NextRoundKey(key, _mm_aeskeygenassist_si128(key, 0x01)), keep();
  key = NextRoundKey(key, _mm_aeskeygenassist_si128(key, 0x02)), keep();
  key = NextRoundKey(key, _mm_aeskeygenassist_si128(key, 0x04)), keep();
  key = NextRoundKey(key, _mm_aeskeygenassist_si128(key, 0x08)), keep();
  key = NextRoundKey(key, _mm_aeskeygenassist_si128(key, 0x10)), keep();
  key = NextRoundKey(key, _mm_aeskeygenassist_si128(key, 0x20)), keep();
  key = NextRoundKey(key, _mm_aeskeygenassist_si128(key, 0x40)), keep();
  key = NextRoundKey(key, _mm_aeskeygenassist_si128(key, 0x80)), keep();
  key = NextRoundKey(key, _mm_aeskeygenassist_si128(key, 0x1b)), keep();
  key = NextRoundKey(key, _mm_aeskeygenassist_si128(key, 0x36)), keep();
}

template <int kRounds>
KVARTS_WITH_AES inline uint64_t Encipher(__m128i block, const unsigned char (*round_keys)[16]) {
  const auto* const keys = reinterpret_cast<const __m128i*>(round_keys);
  block = _mm_xor_si128(block, _mm_load_si128(keys));
#pragma GCC unroll 16
  for (int i = 1; i < kRounds; ++i) block = _mm_aesenc_si128(block, _mm_load_si128(keys + i));
  block = _mm_aesenclast_si128(block, _mm_load_si128(keys + kRounds));
  return static_cast<uint64_t>(_mm_cvtsi128_si64(block));
}

// Sixteen hexadecimal digits to numbers; the signs of `good` stay set where they are digits,
// and lower-case.
KVARTS_WITH_AES inline __m128i DigitValues(__m128i text, __m128i* good) {
  const __m128i is_letter = _mm_cmpgt_epi8(text, _mm_set1_epi8('9'));
  const __m128i values = _mm_sub_epi8(_mm_sub_epi8(text, _mm_set1_epi8('0')),
                                      _mm_and_si128(is_letter, _mm_set1_epi8('a' - '0' - 10)));
  // Back to text: equal only for what was canonical, and for a zero byte, whose value is
  // negative.
  const __m128i digits =
      _mm_setr_epi8('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f');
  const __m128i equal = _mm_cmpeq_epi8(_mm_shuffle_epi8(digits, values), text);
  *good = _mm_and_si128(*good, _mm_andnot_si128(values, equal));
  return values;
}

}  // namespace

KVARTS_WITH_AES uint64_t KeyHash::OfUuidByAes(const char* packed) const {
  return Encipher<kRounds>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(packed)), round_keys_);
}

KVARTS_WITH_AES bool KeyHash::PackByAes(const char* text, char* packed, uint64_t* hash) const {
  const auto load = [text](int at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + at));
  };
  // The dashes, at 8, 13, 18 and 23.
  const int dashes = _mm_movemask_epi8(_mm_cmpeq_epi8(load(8), _mm_set1_epi8('-'))) & 0x8421;
  // Digits 0-7, 9-12, 14-17.
  const __m128i middle = _mm_shuffle_epi8(
      load(9), _mm_setr_epi8(0, 1, 2, 3, 5, 6, 7, 8, -1, -1, -1, -1, -1, -1, -1, -1));
  const __m128i first =
      _mm_unpacklo_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(text)), middle);
  // 19-22, 24-35.
  const __m128i last = _mm_insert_epi8(
      _mm_shuffle_epi8(load(20),
                       _mm_setr_epi8(-1, 0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)),
      text[19], 0);
  __m128i good = _mm_set1_epi8(-1);
  const __m128i high = DigitValues(first, &good);
  const __m128i low = DigitValues(last, &good);
  // Two digits a byte.
  const __m128i weights = _mm_set1_epi16(0x0110);
  const __m128i block =
      _mm_packus_epi16(_mm_maddubs_epi16(high, weights), _mm_maddubs_epi16(low, weights));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(packed), block);
  *hash = Encipher<kRounds>(block, round_keys_);
  return dashes == 0x8421 && _mm_movemask_epi8(good) == 0xffff;
}

KeyHash::KeyHash(const HashSeed& seed, Way way) : seed_(seed) {
  has_aes_ = way == Way::kFastest && __builtin_cpu_supports("aes") != 0 &&
             __builtin_cpu_supports("sse4.1") != 0;
  if (has_aes_) ExpandKey(seed, round_keys_);
}

#else  // no AES, or none that is known here

KeyHash::KeyHash(const HashSeed& seed, Way) : seed_(seed) {}
uint64_t KeyHash::OfUuidByAes(const char*) const { return 0; }
bool KeyHash::PackByAes(const char*, char*, uint64_t*) const { return false; }

#endif

}  // namespace kvarts::memory_internal
