#include "net/resp/commands.h"

#include <array>
#include <cstring>

#include "absl/base/optimization.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/resp/key_slots.h"

namespace kvarts {
namespace resp {
namespace {

// A name of at most 16 bytes as three numbers that are equal for equal names, in
// any case: names are of letters, of which a bit tells the case.
struct Packed {
  uint64_t low = 0;
  uint64_t high = 0;
  size_t size = 0;

  static constexpr uint64_t kLower = 0x2020202020202020;

  static Packed Of(absl::string_view name) {
    Packed packed;
    packed.size = name.size();
    const char* const p = name.data();
    if (name.size() >= 8) {
      packed.low = Load<uint64_t>(p);
      packed.high = Load<uint64_t>(p + name.size() - 8);
    } else if (name.size() >= 4) {
      packed.low = Load<uint32_t>(p);
      packed.high = Load<uint32_t>(p + name.size() - 4);
    } else if (!name.empty()) {
      packed.low = Load<uint8_t>(p) | uint64_t{Load<uint8_t>(p + name.size() / 2)} << 8;
      packed.high = Load<uint8_t>(p + name.size() - 1);
    }
    packed.low |= kLower;
    packed.high |= kLower;
    return packed;
  }
  friend bool operator==(const Packed& a, const Packed& b) {
    return a.low == b.low && a.high == b.high && a.size == b.size;
  }
  uint64_t Hash() const {
    return ((low * 0x9e3779b97f4a7c15 ^ (high + size)) * 0xbf58476d1ce4e5b9) >> 54;
  }

 private:
  template <typename T>
  static T Load(const char* p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
};

// The names, hashed with open addressing: of a thousand slots most are free, so that
// nearly every name is found at the first.
class NameTable {
 public:
  NameTable() {
    for (const Command& command : Commands()) {
      if (absl::StrContains(command.name, '|')) continue;
      const Packed packed = Packed::Of(command.name);
      size_t at = packed.Hash();
      while (slots_[at].command != nullptr) at = (at + 1) % slots_.size();
      slots_[at] = {packed, &command};
    }
  }

  const Command* Find(absl::string_view name) const {
    if (name.size() > 16) return nullptr;
    const Packed packed = Packed::Of(name);
    size_t at = packed.Hash();
    while (slots_[at].command != nullptr && !(slots_[at].name == packed)) {
      at = (at + 1) % slots_.size();
    }
    return slots_[at].command;
  }

 private:
  struct Slot {
    Packed name;
    const Command* command = nullptr;
  };

  std::array<Slot, 1024> slots_;
};

}  // namespace

const Command* FindCommand(absl::string_view name) {
  static const NameTable& table = *new NameTable();
  return table.Find(name);
}

const Command* FindSubcommand(const Command& container, absl::string_view name) {
  const size_t prefix = container.name.size() + 1;
  for (const Command* command = &container + 1; command != Commands().end(); ++command) {
    if (!absl::StartsWith(command->name, container.name) || command->name.size() <= prefix ||
        command->name[prefix - 1] != '|') {
      return nullptr;
    }
    if (absl::EqualsIgnoreCase(command->name.substr(prefix), name)) return command;
  }
  return nullptr;
}

std::string ArityError(const Command& command) {
  return absl::StrCat("ERR wrong number of arguments for '", command.name, "' command");
}

std::string ErrorText(const absl::Status& status) {
  if (IsElsewhere(status)) return ElsewhereText(status);
  if (absl::IsFailedPrecondition(status) && status == ReadOnlyError()) return kReadOnlyError;
  if (status == MemoryLimitError()) {
    return "OOM command not allowed when used memory > 'maxmemory'.";
  }
  if (absl::IsResourceExhausted(status)) return absl::StrCat("OOM ", status.message());
  if (absl::IsDataLoss(status)) return absl::StrCat("ERR data loss: ", status.message());
  return absl::StrCat("ERR ", status.message());
}

bool ParseInteger(absl::string_view text, int64_t* value) {
  const bool negative = !text.empty() && text[0] == '-';
  const absl::string_view digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.size() > 19) return false;
  if (digits[0] == '0' && (digits.size() > 1 || negative)) return false;
  uint64_t sum = 0;  // of 19 digits: fits
  for (const char c : digits) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
    sum = sum * 10 + static_cast<uint64_t>(c - '0');
  }
  const uint64_t most = uint64_t{1} << 63;
  if (sum > (negative ? most : most - 1)) return false;
  *value = static_cast<int64_t>(negative ? 0 - sum : sum);
  return true;
}

}  // namespace resp
}  // namespace kvarts
