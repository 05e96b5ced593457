#include "apps/testing/soak/values.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "bench/bench_data.h"

namespace kvarts::soak {
namespace {

uint64_t SumOf(absl::string_view key, uint64_t version, absl::string_view letters) {
  return Checksum(letters, Checksum(key, version));
}

bool TakeHex(absl::string_view* text, size_t digits, uint64_t* number) {
  if (text->size() < digits || !absl::SimpleHexAtoi(text->substr(0, digits), number)) return false;
  text->remove_prefix(digits);
  return true;
}

}  // namespace

std::string ValueOf(absl::string_view key, uint32_t version, size_t size) {
  if (size == 0) return "";
  std::string letters(std::max(size, kPartHead) - kPartHead, '\0');
  uint64_t random = version;
  for (size_t i = 0; i < letters.size(); i += 8) {
    char word[8];
    random = Mix(random);
    StoreLE64(word, (random & 0x0F0F0F0F0F0F0F0Fu) + 0x6161616161616161u);  // 'a' to 'p'
    letters.replace(i, std::min<size_t>(8, letters.size() - i), word,
                    std::min<size_t>(8, letters.size() - i));
  }
  return absl::StrCat(
      absl::StrFormat("%08x%08x%016x", letters.size(), version, SumOf(key, version, letters)),
      letters);
}

bool IsValueOf(absl::string_view key, absl::string_view value) {
  while (!value.empty()) {
    uint64_t size = 0;
    uint64_t version = 0;
    uint64_t sum = 0;
    if (!TakeHex(&value, 8, &size) || !TakeHex(&value, 8, &version) || !TakeHex(&value, 16, &sum) ||
        value.size() < size || SumOf(key, version, value.substr(0, size)) != sum) {
      return false;
    }
    value.remove_prefix(size);
  }
  return true;
}

uint32_t VersionOf(absl::string_view value) {
  uint32_t version = 0;
  if (!absl::SimpleHexAtoi(value.substr(8, 8), &version)) return 0;
  return version;
}

}  // namespace kvarts::soak
