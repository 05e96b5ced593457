#include "net/resp/rdb_string.h"

#include <array>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "net/resp/commands.h"

namespace kvarts {
namespace resp {
namespace {

constexpr uint64_t kVersion = 10;
constexpr size_t kFooterBytes = 10;
constexpr size_t kMaxIntegerDigits = 11;
constexpr unsigned char kLastType = 21;  // of Redis 7.0
constexpr unsigned char kLzf = 3;

std::array<uint64_t, 256> MakeTable() {
  constexpr uint64_t kPolynomial = 0x95ac9329ac4bc9b5;  // 0xad93d23594c935a9, reflected
  std::array<uint64_t, 256> table;
  for (uint64_t i = 0; i < table.size(); ++i) {
    uint64_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[i] = crc;
  }
  return table;
}

void AppendLowFirst(uint64_t number, int bytes, std::string* to) {
  for (int i = 0; i < bytes; ++i, number >>= 8) to->push_back(static_cast<char>(number & 0xff));
}

void AppendLength(uint64_t length, std::string* to) {
  if (length < 1 << 6) {
    to->push_back(static_cast<char>(length));
  } else if (length < 1 << 14) {
    to->push_back(static_cast<char>(0x40 | length >> 8));
    to->push_back(static_cast<char>(length & 0xff));
  } else {
    const bool is_long = length > std::numeric_limits<uint32_t>::max();
    to->push_back(static_cast<char>(is_long ? 0x81 : 0x80));
    for (int shift = is_long ? 56 : 24; shift >= 0; shift -= 8) {
      to->push_back(static_cast<char>(length >> shift & 0xff));
    }
  }
}

// False: it is not an integer that has a shorter form.
bool AppendInteger(absl::string_view value, std::string* to) {
  int64_t number = 0;
  if (value.size() > kMaxIntegerDigits || !ParseInteger(value, &number)) return false;
  int form = 0;
  if (number == static_cast<int8_t>(number)) {
    form = 0;
  } else if (number == static_cast<int16_t>(number)) {
    form = 1;
  } else if (number == static_cast<int32_t>(number)) {
    form = 2;
  } else {
    return false;
  }
  to->push_back(static_cast<char>(0xc0 | form));
  AppendLowFirst(static_cast<uint64_t>(number), 1 << form, to);
  return true;
}

// Takes parts from the beginning of some bytes; nothing where they are too short.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : bytes_(bytes) {}

  std::optional<absl::string_view> Take(uint64_t size) {
    if (size > bytes_.size()) return std::nullopt;
    const absl::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::optional<unsigned char> TakeByte() {
    const std::optional<absl::string_view> byte = Take(1);
    if (!byte) return std::nullopt;
    return static_cast<unsigned char>((*byte)[0]);
  }
  std::optional<uint64_t> TakeHighFirst(uint64_t size) {
    const std::optional<absl::string_view> bytes = Take(size);
    if (!bytes) return std::nullopt;
    uint64_t number = 0;
    for (const char byte : *bytes) number = number << 8 | static_cast<unsigned char>(byte);
    return number;
  }
  // The rest of a length that begins with `first`; none where it is no length.
  std::optional<uint64_t> TakeLength(unsigned char first) {
    if (first < 0x40) return first;
    if (first == 0x80) return TakeHighFirst(4);
    if (first == 0x81) return TakeHighFirst(8);
    const std::optional<unsigned char> second = TakeByte();
    if (first >= 0x80 || !second) return std::nullopt;
    return uint64_t{first & 0x3fu} << 8 | *second;
  }
  std::optional<uint64_t> TakeLength() {
    const std::optional<unsigned char> first = TakeByte();
    return first ? TakeLength(*first) : std::nullopt;
  }

 private:
  absl::string_view bytes_;
};

uint64_t LowFirst(absl::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = bytes.size(); i-- > 0;)
    number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

// None where the bytes are not of LZF, or not of `size`.
std::optional<std::string> FromLzf(absl::string_view bytes, uint64_t size) {
  std::string value;
  Reader reader(bytes);
  while (const std::optional<unsigned char> control = reader.TakeByte()) {
    if (*control < 32) {
      const std::optional<absl::string_view> literal = reader.Take(*control + 1u);
      if (!literal) return std::nullopt;
      absl::StrAppend(&value, *literal);
    } else {
      uint64_t length = *control >> 5;
      if (length == 7) {
        const std::optional<unsigned char> more = reader.TakeByte();
        if (!more) return std::nullopt;
        length += *more;
      }
      const std::optional<unsigned char> low = reader.TakeByte();
      if (!low) return std::nullopt;
      const uint64_t back = (uint64_t{*control & 0x1fu} << 8 | *low) + 1;
      if (back > value.size()) return std::nullopt;
      // Byte by byte: what is copied may be what this copies.
      for (uint64_t i = 0; i < length + 2; ++i) value.push_back(value[value.size() - back]);
    }
    if (value.size() > size) return std::nullopt;
  }
  if (value.size() != size) return std::nullopt;
  return value;
}

absl::Status TooLarge() { return absl::ResourceExhaustedError("the value is too large"); }
absl::Status Malformed() { return absl::DataLossError("no object"); }

absl::StatusOr<std::string> TakeCompressed(Reader* reader, size_t max_bytes) {
  const std::optional<uint64_t> compressed = reader->TakeLength();
  const std::optional<uint64_t> size = reader->TakeLength();
  if (!compressed || !size) return Malformed();
  const std::optional<absl::string_view> bytes = reader->Take(*compressed);
  if (!bytes) return Malformed();
  if (*size > max_bytes) return TooLarge();
  std::optional<std::string> value = FromLzf(*bytes, *size);
  if (!value) return Malformed();
  return *std::move(value);
}

absl::StatusOr<std::string> TakeString(Reader* reader, size_t max_bytes) {
  const std::optional<unsigned char> first = reader->TakeByte();
  if (!first) return Malformed();
  if (*first == (0xc0 | kLzf)) return TakeCompressed(reader, max_bytes);
  if (*first >= 0xc0) {
    const int form = *first & 0x3f;
    const std::optional<absl::string_view> bytes =
        form < 3 ? reader->Take(1u << form) : std::nullopt;
    if (!bytes) return Malformed();
    const int unused = 64 - (8 << form);
    return absl::StrCat(static_cast<int64_t>(LowFirst(*bytes) << unused) >> unused);
  }
  const std::optional<uint64_t> size = reader->TakeLength(*first);
  if (!size) return Malformed();
  const std::optional<absl::string_view> bytes = reader->Take(*size);
  if (!bytes) return Malformed();
  if (bytes->size() > max_bytes) return TooLarge();
  return std::string(*bytes);
}

}  // namespace

uint64_t Crc64(absl::string_view bytes) {
  static const std::array<uint64_t, 256> table = MakeTable();
  uint64_t crc = 0;
  for (const char byte : bytes) {
    crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ (crc >> 8);
  }
  return crc;
}

std::string ToDumpPayload(absl::string_view value) {
  std::string payload(1, '\0');
  payload.reserve(value.size() + 32);
  if (!AppendInteger(value, &payload)) {
    AppendLength(value.size(), &payload);
    absl::StrAppend(&payload, value);
  }
  AppendLowFirst(kVersion, 2, &payload);
  AppendLowFirst(Crc64(payload), 8, &payload);
  return payload;
}

absl::StatusOr<std::string> FromDumpPayload(absl::string_view payload, size_t max_bytes) {
  if (payload.size() < kFooterBytes) return absl::InvalidArgumentError("too short");
  const size_t size = payload.size() - kFooterBytes;
  const uint64_t checksum = LowFirst(payload.substr(size + 2));
  if (LowFirst(payload.substr(size, 2)) > kVersion ||
      Crc64(payload.substr(0, size + 2)) != checksum) {
    return absl::InvalidArgumentError("another version, or another checksum");
  }
  Reader reader(payload.substr(0, size));
  const std::optional<unsigned char> type = reader.TakeByte();
  if (!type || *type > kLastType) return Malformed();
  if (*type != 0) return absl::UnimplementedError("not of a string");
  return TakeString(&reader, max_bytes);
}

}  // namespace resp
}  // namespace kvarts
