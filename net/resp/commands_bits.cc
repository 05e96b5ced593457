// GETBIT, SETBIT, BITCOUNT, BITPOS, BITOP: a value as an array of bits.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "net/resp/bits.h"
#include "net/resp/handlers.h"
#include "net/resp/modify.h"
#include "net/resp/transaction_store.h"

namespace kvarts {
namespace resp {
namespace {

constexpr char kNotAnOffset[] = "ERR bit offset is not an integer or out of range";
constexpr char kNotABit[] = "ERR bit is not an integer or out of range";
// Of other writers of the same keys in a row; a store that cannot keep up.
constexpr int kMaxTries = 1000;

// Where a value could not have the bit: false.
bool ParseOffset(absl::string_view text, const ServerState& state, int64_t* offset) {
  return ParseInteger(text, offset) && *offset >= 0 &&
         static_cast<uint64_t>(*offset) / 8 < state.options.max_value_bytes;
}

// True where the unit is bits, none where it is no unit.
std::optional<bool> IsInBits(absl::string_view unit) {
  if (absl::EqualsIgnoreCase(unit, "BIT")) return true;
  if (absl::EqualsIgnoreCase(unit, "BYTE")) return false;
  return std::nullopt;
}

// From the first to the last bit of a range, whose ends are counted from the value's end where
// they are negative.
struct BitRange {
  BitRange(int64_t start, int64_t end, bool in_bits, size_t value_bytes) {
    const auto size = static_cast<int64_t>(value_bytes) * (in_bits ? 8 : 1);
    if (start < 0) start = std::max<int64_t>(start + size, 0);
    if (end < 0) end = std::max<int64_t>(end + size, 0);
    end = std::min(end, size - 1);
    empty = start > end;
    first = static_cast<uint64_t>(start) * (in_bits ? 1 : 8);
    last = static_cast<uint64_t>(end) * (in_bits ? 1 : 8) + (in_bits ? 0 : 7);
  }

  bool empty;
  uint64_t first;  // of what is not empty
  uint64_t last;
};

bool AnswerError(const ReadAnswer& answer, absl::string_view error) {
  answer.reply->Error(error);
  return false;
}
bool AnswerInteger(const ReadAnswer& answer, int64_t value) {
  answer.reply->Integer(value);
  return false;
}

}  // namespace

bool AnswerGetBit(const ReadAnswer& answer) {
  int64_t offset = 0;
  if (!ParseOffset(answer.args[2], *answer.state, &offset)) {
    return AnswerError(answer, kNotAnOffset);
  }
  const bool bit = BitAt(answer.results[0].value, static_cast<uint64_t>(offset));
  return AnswerInteger(answer, bit ? 1 : 0);
}

// BITCOUNT key [start end [BYTE|BIT]]. An absent key is answered before the range is looked at.
bool AnswerBitCount(const ReadAnswer& answer) {
  const auto args = answer.args;
  const absl::string_view value = answer.results[0].value;
  if (!answer.results[0].found) return AnswerInteger(answer, 0);
  int64_t start = 0;
  int64_t end = -1;
  std::optional<bool> in_bits = false;
  if (args.size() == 3 || args.size() > 5) return AnswerError(answer, kSyntaxError);
  if (args.size() > 3) {
    if (!ParseInteger(args[2], &start) || !ParseInteger(args[3], &end)) {
      return AnswerError(answer, kNotAnInteger);
    }
    if (start < 0 && end < 0 && start > end) return AnswerInteger(answer, 0);
    if (args.size() == 5) in_bits = IsInBits(args[4]);
    if (!in_bits) return AnswerError(answer, kSyntaxError);
  }
  const BitRange range(start, end, *in_bits, value.size());
  if (range.empty) return AnswerInteger(answer, 0);
  return AnswerInteger(answer, static_cast<int64_t>(CountBits(value, range.first, range.last)));
}

// BITPOS key bit [start [end [BYTE|BIT]]]. Without an end zeros follow the value.
bool AnswerBitPos(const ReadAnswer& answer) {
  const auto args = answer.args;
  const absl::string_view value = answer.results[0].value;
  int64_t bit = 0;
  if (!ParseInteger(args[2], &bit)) return AnswerError(answer, kNotAnInteger);
  if (bit != 0 && bit != 1) {
    return AnswerError(answer, "ERR The bit argument must be 1 or 0.");
  }
  if (!answer.results[0].found) return AnswerInteger(answer, bit == 1 ? -1 : 0);
  int64_t start = 0;
  int64_t end = -1;
  std::optional<bool> in_bits = false;
  if (args.size() > 6) return AnswerError(answer, kSyntaxError);
  if (args.size() > 3 && !ParseInteger(args[3], &start)) return AnswerError(answer, kNotAnInteger);
  if (args.size() > 5) in_bits = IsInBits(args[5]);
  if (!in_bits) return AnswerError(answer, kSyntaxError);
  if (args.size() > 4 && !ParseInteger(args[4], &end)) return AnswerError(answer, kNotAnInteger);
  const BitRange range(start, end, *in_bits, value.size());
  if (range.empty) return AnswerInteger(answer, -1);
  const int64_t found = FindBit(value, bit == 1, range.first, range.last);
  const bool is_behind = found < 0 && bit == 0 && args.size() < 5;
  return AnswerInteger(answer, is_behind ? static_cast<int64_t>(value.size() * 8) : found);
}

void SetBit(CommandCall* call) {
  int64_t offset = 0;
  int64_t on = 0;
  if (!ParseOffset(call->args[2], *call->state, &offset)) return call->reply->Error(kNotAnOffset);
  if (!ParseInteger(call->args[3], &on) || (on != 0 && on != 1)) {
    return call->reply->Error(kNotABit);
  }
  const auto bit = static_cast<uint64_t>(offset);
  bool old = false;
  const absl::Status status =
      call->store()->Modify(call->args[1], WriteOptions(),
                            [&](const ReadResult& current) -> absl::StatusOr<Modification> {
                              old = BitAt(current.value, bit);
                              const bool has_room = bit / 8 < current.value.size();
                              // Who watches the key has not to know of a change that is none.
                              if (has_room && old == (on == 1)) return Modification::Nothing();
                              std::string value(current.value);
                              if (!has_room) value.resize(bit / 8 + 1);
                              SetBitAt(&value, bit, on == 1);
                              CountCopy(call, value.size());
                              return Modification::Put(std::move(value));
                            });
  if (!status.ok()) return AnswerStatus(status, call->reply);
  call->reply->Integer(old ? 1 : 0);
}

namespace {

// What BITOP makes of the keys, one value in memory at a time beside the result.
absl::StatusOr<std::string> Combined(CommandCall* call, std::optional<BitOperation> operation,
                                     absl::Span<const absl::string_view> keys, Store* store) {
  std::string combined;
  ReadResults results;
  for (size_t i = 0; i < keys.size(); ++i) {
    store->Read(keys[i], ReadOptions(), &results);
    KVARTS_RETURN_IF_ERROR(results[0].status);
    const absl::string_view value = results[0].value;
    CountCopy(call, value.size());
    if (i == 0) {
      combined = std::string(value);
    } else {
      CombineBits(*operation, value, &combined);
    }
  }
  if (!operation.has_value()) InvertBits(&combined);
  return combined;
}

// The length of the result, once `destination` has it in one step with the reads. An empty
// result deletes it.
absl::StatusOr<size_t> PutCombined(CommandCall* call, std::optional<BitOperation> operation) {
  const absl::string_view destination = call->args[2];
  KVARTS_RETURN_IF_ERROR(CheckTransactions(call->capabilities()));
  for (int i = 0; i < kMaxTries; ++i) {
    TransactionStore store(call->store(), call->state->options.clock);
    KVARTS_ASSIGN_OR_RETURN(const std::string combined,
                            Combined(call, operation, call->args.subspan(3), &store));
    WriteBatch batch;
    combined.empty() ? batch.Delete(destination) : batch.Put(destination, combined);
    KVARTS_RETURN_IF_ERROR(store.Write(batch, WriteOptions(), nullptr));
    KVARTS_ASSIGN_OR_RETURN(const TransactionStore::Outcome outcome, store.Commit({}));
    if (outcome == TransactionStore::Outcome::kDone) return combined.size();
  }
  return absl::UnavailableError("other writers changed the keys at every try");
}

}  // namespace

// BITOP AND|OR|XOR|NOT destination key [key ...]
void BitOp(CommandCall* call) {
  const absl::string_view name = call->args[1];
  std::optional<BitOperation> operation;
  if (absl::EqualsIgnoreCase(name, "AND")) operation = BitOperation::kAnd;
  if (absl::EqualsIgnoreCase(name, "OR")) operation = BitOperation::kOr;
  if (absl::EqualsIgnoreCase(name, "XOR")) operation = BitOperation::kXor;
  if (!operation.has_value()) {
    if (!absl::EqualsIgnoreCase(name, "NOT")) return call->reply->Error(kSyntaxError);
    if (call->args.size() != 4) {
      return call->reply->Error("ERR BITOP NOT must be called with a single source key.");
    }
  }
  const absl::StatusOr<size_t> size = PutCombined(call, operation);
  if (!size.ok()) return AnswerStatus(size.status(), call->reply);
  call->reply->Integer(static_cast<int64_t>(*size));
}

}  // namespace resp
}  // namespace kvarts
