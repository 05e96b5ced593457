// BITFIELD and BITFIELD_RO: integers of any width within a value.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "net/resp/bits.h"
#include "net/resp/handlers.h"
#include "net/resp/modify.h"

namespace kvarts {
namespace resp {
namespace {

using Wide = __int128;  // holds the sum of any two integers of 64 bits

enum class Overflow : unsigned char { kWrap, kSaturate, kFail };

// One GET, SET or INCRBY.
struct Field {
  enum class Kind : unsigned char { kGet, kSet, kAdd };

  Kind kind = Kind::kGet;
  bool is_signed = false;
  int bits = 0;
  uint64_t offset = 0;
  int64_t operand = 0;
  Overflow overflow = Overflow::kWrap;

  int64_t Read(absl::string_view value) const {
    const uint64_t number = BitsAt(value, offset, bits);
    const int unused = 64 - bits;
    if (!is_signed) return static_cast<int64_t>(number);
    return static_cast<int64_t>(number << unused) >> unused;
  }
  Wide most() const { return ((Wide{1} << (is_signed ? bits - 1 : bits)) - 1); }
  Wide least() const { return is_signed ? -most() - 1 : 0; }
};

// What is to be stored of `number`, or nothing where it does not fit and is to fail.
std::optional<uint64_t> Fitted(const Field& field, Wide number) {
  if (number <= field.most() && number >= field.least()) return static_cast<uint64_t>(number);
  switch (field.overflow) {
    case Overflow::kWrap:
      return static_cast<uint64_t>(number);  // the higher bits are not stored
    case Overflow::kSaturate:
      return static_cast<uint64_t>(number > field.most() ? field.most() : field.least());
    case Overflow::kFail:
      break;
  }
  return std::nullopt;
}

// "u8", "i64". There is no u64, as replies are signed.
absl::Status ParseType(absl::string_view text, Field* field) {
  const absl::Status error = ReplyError(
      "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
      "i64 is.");
  int64_t bits = 0;
  if (text.empty() || (text[0] != 'i' && text[0] != 'u')) return error;
  field->is_signed = text[0] == 'i';
  if (!ParseInteger(text.substr(1), &bits) || bits < 1 || bits > (field->is_signed ? 64 : 63)) {
    return error;
  }
  field->bits = static_cast<int>(bits);
  return absl::OkStatus();
}

// "100", or "#3": the fourth of this width.
absl::Status ParseOffset(absl::string_view text, size_t max_bytes, Field* field) {
  const bool in_fields = absl::ConsumePrefix(&text, "#");
  int64_t offset = 0;
  const bool is_integer = ParseInteger(text, &offset) && offset >= 0;
  const Wide bit = Wide{offset} * (in_fields ? field->bits : 1);
  if (!is_integer || bit / 8 >= static_cast<Wide>(max_bytes)) {
    return ReplyError("ERR bit offset is not an integer or out of range");
  }
  field->offset = static_cast<uint64_t>(bit);
  return absl::OkStatus();
}

absl::Status ParseOverflow(absl::string_view text, Overflow* overflow) {
  if (absl::EqualsIgnoreCase(text, "WRAP")) {
    *overflow = Overflow::kWrap;
  } else if (absl::EqualsIgnoreCase(text, "SAT")) {
    *overflow = Overflow::kSaturate;
  } else if (absl::EqualsIgnoreCase(text, "FAIL")) {
    *overflow = Overflow::kFail;
  } else {
    return ReplyError("ERR Invalid OVERFLOW type specified");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Field>> ParseFields(absl::Span<const absl::string_view> args,
                                               size_t max_bytes) {
  std::vector<Field> fields;
  Overflow overflow = Overflow::kWrap;
  size_t i = 2;
  while (i < args.size()) {
    const size_t more = args.size() - i - 1;
    if (absl::EqualsIgnoreCase(args[i], "OVERFLOW") && more >= 1) {
      KVARTS_RETURN_IF_ERROR(ParseOverflow(args[i + 1], &overflow));
      i += 2;
      continue;
    }
    Field field;
    field.overflow = overflow;
    if (absl::EqualsIgnoreCase(args[i], "SET") && more >= 3) {
      field.kind = Field::Kind::kSet;
    } else if (absl::EqualsIgnoreCase(args[i], "INCRBY") && more >= 3) {
      field.kind = Field::Kind::kAdd;
    } else if (!absl::EqualsIgnoreCase(args[i], "GET") || more < 2) {
      return ReplyError(kSyntaxError);
    }
    KVARTS_RETURN_IF_ERROR(ParseType(args[i + 1], &field));
    KVARTS_RETURN_IF_ERROR(ParseOffset(args[i + 2], max_bytes, &field));
    const bool writes = field.kind != Field::Kind::kGet;
    if (writes && !ParseInteger(args[i + 3], &field.operand)) return ReplyError(kNotAnInteger);
    fields.push_back(field);
    i += writes ? 4 : 3;
  }
  return fields;
}

bool Writes(const std::vector<Field>& fields) {
  return std::any_of(fields.begin(), fields.end(),
                     [](const Field& field) { return field.kind != Field::Kind::kGet; });
}

// Writes a field, and returns its reply: nothing where it overflows and is to fail.
std::optional<int64_t> Change(const Field& field, std::string* value) {
  const int64_t old = field.Read(*value);
  // Of a SET of an unsigned field a negative number is a large one.
  Wide number = field.is_signed ? Wide{field.operand} : Wide{static_cast<uint64_t>(field.operand)};
  if (field.kind == Field::Kind::kAdd) number = Wide{old} + field.operand;
  const std::optional<uint64_t> fitted = Fitted(field, number);
  if (!fitted.has_value()) return std::nullopt;
  SetBitsAt(value, field.offset, field.bits, *fitted);
  return field.kind == Field::Kind::kAdd ? field.Read(*value) : old;
}

void AnswerFields(const std::vector<std::optional<int64_t>>& answers, ReplyWriter* reply) {
  reply->Array(answers.size());
  for (const std::optional<int64_t>& answer : answers) {
    answer.has_value() ? reply->Integer(*answer) : reply->Null();
  }
}

void AnswerReads(const std::vector<Field>& fields, absl::string_view value, ReplyWriter* reply) {
  reply->Array(fields.size());
  for (const Field& field : fields) reply->Integer(field.Read(value));
}

}  // namespace

bool AnswerBitFieldRo(const ReadAnswer& answer) {
  const absl::StatusOr<std::vector<Field>> fields =
      ParseFields(answer.args, answer.state->options.max_value_bytes);
  if (!fields.ok()) {
    AnswerStatus(fields.status(), answer.reply);
  } else if (Writes(*fields)) {
    answer.reply->Error("ERR BITFIELD_RO only supports the GET subcommand");
  } else {
    AnswerReads(*fields, answer.results[0].value, answer.reply);
  }
  return false;
}

// BITFIELD key [GET type offset|[OVERFLOW WRAP|SAT|FAIL] SET|INCRBY type offset number ...]
void BitField(CommandCall* call) {
  const absl::StatusOr<std::vector<Field>> fields =
      ParseFields(call->args, call->state->options.max_value_bytes);
  if (!fields.ok()) return AnswerStatus(fields.status(), call->reply);
  if (!Writes(*fields)) {
    ReadResults* const results = call->scratch->results.get();
    call->store()->Read(call->args[1], ReadOptions(), results);
    const ReadResult& result = (*results)[0];
    if (!result.status.ok()) return call->reply->Error(ErrorText(result.status));
    return AnswerReads(*fields, result.value, call->reply);
  }
  // The value has room for all that is written, also where that fails.
  uint64_t size = 0;
  for (const Field& field : *fields) {
    const uint64_t end = (field.offset + static_cast<uint64_t>(field.bits) + 7) / 8;
    if (field.kind != Field::Kind::kGet) size = std::max(size, end);
  }
  std::vector<std::optional<int64_t>> answers;
  const absl::Status status = call->store()->Modify(
      call->args[1], WriteOptions(),
      [&](const ReadResult& current) -> absl::StatusOr<Modification> {
        answers.clear();
        std::string value(current.value);
        if (value.size() < size) value.resize(size);
        CountCopy(call, value.size());
        for (const Field& field : *fields) {
          const bool reads = field.kind == Field::Kind::kGet;
          answers.push_back(reads ? field.Read(value) : Change(field, &value));
        }
        if (value == current.value) return Modification::Nothing();
        return Modification::Put(std::move(value));
      });
  if (!status.ok()) return AnswerStatus(status, call->reply);
  AnswerFields(answers, call->reply);
}

}  // namespace resp
}  // namespace kvarts
