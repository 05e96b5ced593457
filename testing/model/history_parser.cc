#include <cstddef>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "testing/model/history.h"

namespace kvarts::model {
namespace {

using Kind = Operation::Kind;
using Change = Metadata::Change;

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

// `name`, `name=word` or `name="text"`; a text alone has an empty name.
struct Token {
  std::string name;
  std::string text;
  bool quoted = false;
};

// Not thread-safe. The tokens of a line, one after the other.
class Line {
 public:
  static absl::StatusOr<Line> Parse(absl::string_view line) {
    Line out;
    size_t i = 0;
    while (i < line.size()) {
      if (line[i] == ' ') {
        ++i;
        continue;
      }
      KVARTS_ASSIGN_OR_RETURN(Token token, ParseToken(line, &i));
      out.tokens_.push_back(std::move(token));
    }
    return out;
  }

  bool AtEnd() const { return next_ == tokens_.size(); }
  const Token* Peek() const { return AtEnd() ? nullptr : &tokens_[next_]; }

  // The next token where it is `name`; else nothing happens.
  bool Take(absl::string_view name) {
    if (AtEnd() || tokens_[next_].quoted || tokens_[next_].name != name) return false;
    ++next_;
    return true;
  }
  // The text of `name=...` where that comes next. Null: it does not.
  const std::string* TakeValue(absl::string_view name) {
    if (AtEnd() || tokens_[next_].name != absl::StrCat(name, "=")) return nullptr;
    return &tokens_[next_++].text;
  }
  absl::StatusOr<std::string> Word() {
    if (AtEnd() || tokens_[next_].quoted) return Bad("expected a word");
    return tokens_[next_++].name;
  }
  absl::StatusOr<std::string> Text() {
    if (AtEnd() || !tokens_[next_].quoted || !tokens_[next_].name.empty()) {
      return Bad("expected a text in quotes");
    }
    return tokens_[next_++].text;
  }
  absl::StatusOr<int> Number() {
    KVARTS_ASSIGN_OR_RETURN(const std::string word, Word());
    return ToNumber<int>(word);
  }
  template <typename T>
  static absl::StatusOr<T> ToNumber(absl::string_view text) {
    T out = 0;
    if (!absl::SimpleAtoi(text, &out)) return Bad(absl::StrCat("'", text, "' is no number"));
    return out;
  }

 private:
  static absl::StatusOr<Token> ParseToken(absl::string_view line, size_t* i) {
    Token token;
    while (*i < line.size() && line[*i] != ' ' && line[*i] != '"') {
      token.name.push_back(line[(*i)++]);
    }
    if (*i < line.size() && line[*i] == '"') {
      token.quoted = true;
      size_t end = *i + 1;
      while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
      if (end >= line.size()) return Bad("a quote is not closed");
      std::string error;
      if (!absl::CUnescape(line.substr(*i + 1, end - *i - 1), &token.text, &error)) {
        return Bad(error);
      }
      *i = end + 1;
      if (*i < line.size() && line[*i] == '*') {
        size_t digits = *i + 1;
        while (digits < line.size() && line[digits] != ' ') ++digits;
        KVARTS_ASSIGN_OR_RETURN(const size_t times,
                                ToNumber<size_t>(line.substr(*i + 1, digits - *i - 1)));
        if (times > kMaxValueBytes) return Bad("a text beyond all limits");
        std::string repeated;
        for (size_t n = 0; n < times; ++n) repeated += token.text;
        token.text = std::move(repeated);
        *i = digits;
      }
    } else if (const size_t equals = token.name.find('='); equals != std::string::npos) {
      token.text = token.name.substr(equals + 1);
      token.name.resize(equals + 1);
    }
    return token;
  }

  std::vector<Token> tokens_;
  size_t next_ = 0;
};

absl::Status ParseMetadata(Line& line, MutationStep* step) {
  while (!line.AtEnd()) {
    const Token token = *line.Peek();
    if (const std::string* value = line.TakeValue("expiry")) {
      step->expiry = *value == "keep" ? Change::kKeep : Change::kSet;
      if (step->expiry == Change::kSet) {
        KVARTS_ASSIGN_OR_RETURN(step->expires_in_ms, Line::ToNumber<int64_t>(*value));
      }
    } else if (const std::string* value = line.TakeValue("type")) {
      step->content_type = token.quoted ? Change::kSet : Change::kKeep;
      if (token.quoted) step->type = *value;
    } else {
      break;
    }
  }
  return absl::OkStatus();
}

// One precondition or mutation.
absl::Status ParseStep(Line& line, Operation* op) {
  PreconditionStep precondition;
  MutationStep mutation;
  KVARTS_ASSIGN_OR_RETURN(const std::string verb, line.Word());
  KVARTS_ASSIGN_OR_RETURN(mutation.key, line.Text());
  precondition.key = mutation.key;
  if (verb == "if_absent" || verb == "if_present") {
    precondition.kind =
        verb == "if_absent" ? Precondition::Kind::kAbsent : Precondition::Kind::kPresent;
    op->preconditions.push_back(precondition);
    return absl::OkStatus();
  }
  if (verb == "if_unchanged") {
    const std::string* const stamps = line.TakeValue("stamps");
    if (stamps == nullptr) return Bad("if_unchanged needs stamps=");
    precondition.kind = Precondition::Kind::kUnchanged;
    KVARTS_ASSIGN_OR_RETURN(precondition.stamps, Line::ToNumber<int>(*stamps));
    op->preconditions.push_back(precondition);
    return absl::OkStatus();
  }
  if (verb == "put") {
    mutation.kind = Mutation::Kind::kPut;
    KVARTS_ASSIGN_OR_RETURN(mutation.value, line.Text());
    KVARTS_RETURN_IF_ERROR(ParseMetadata(line, &mutation));
  } else if (verb == "touch") {
    mutation.kind = Mutation::Kind::kTouch;
    KVARTS_RETURN_IF_ERROR(ParseMetadata(line, &mutation));
  } else if (verb == "delete") {
    mutation.kind = Mutation::Kind::kDelete;
  } else if (verb == "delete_range") {
    mutation.kind = Mutation::Kind::kDeleteRange;
    KVARTS_ASSIGN_OR_RETURN(mutation.value, line.Text());
  } else {
    return Bad(absl::StrCat("'", verb, "' is no mutation or precondition"));
  }
  op->mutations.push_back(mutation);
  return absl::OkStatus();
}

absl::Status ParseWrite(Line& line, Operation* op) {
  op->kind = Kind::kWrite;
  op->atomic = line.Take("atomic");
  op->report_existed = line.Take("existed");
  op->sync = !line.Take("nosync");
  if (!line.Take(":")) return absl::OkStatus();
  do {
    KVARTS_RETURN_IF_ERROR(ParseStep(line, op));
  } while (line.Take(";"));
  return absl::OkStatus();
}

absl::Status ParseGet(Line& line, Operation* op) {
  op->kind = Kind::kGet;
  if (const std::string* id = line.TakeValue("stamps")) {
    KVARTS_ASSIGN_OR_RETURN(op->id, Line::ToNumber<int>(*id));
  }
  op->value = !line.Take("novalue");
  if (const std::string* at = line.TakeValue("at")) {
    KVARTS_ASSIGN_OR_RETURN(op->snapshot, Line::ToNumber<int>(*at));
  }
  while (!line.AtEnd()) {
    KVARTS_ASSIGN_OR_RETURN(std::string key, line.Text());
    op->keys.push_back(std::move(key));
  }
  return absl::OkStatus();
}

absl::Status ParseModify(Line& line, Operation* op) {
  op->kind = Kind::kModify;
  KVARTS_ASSIGN_OR_RETURN(std::string key, line.Text());
  op->keys = {std::move(key)};
  KVARTS_ASSIGN_OR_RETURN(const std::string what, line.Word());
  if (what == "nothing") {
    op->modifier = Operation::Modifier::kNothing;
  } else if (what == "append") {
    op->modifier = Operation::Modifier::kAppend;
    KVARTS_ASSIGN_OR_RETURN(op->appended, line.Text());
  } else if (what == "delete") {
    op->modifier = Operation::Modifier::kDelete;
  } else if (what == "fail") {
    op->modifier = Operation::Modifier::kFail;
  } else {
    return Bad(absl::StrCat("'", what, "' is no modifier"));
  }
  return absl::OkStatus();
}

absl::Status ParseCursor(Line& line, Operation* op) {
  op->kind = Kind::kCursor;
  KVARTS_ASSIGN_OR_RETURN(op->id, line.Number());
  if (const std::string* begin = line.TakeValue("from")) op->range.begin = *begin;
  if (const std::string* end = line.TakeValue("to")) op->range.end = *end;
  while (const std::string* slots = line.TakeValue("slots")) {
    const std::vector<std::string> ends = absl::StrSplit(*slots, '-');
    if (ends.size() != 2) return Bad("expected slots=FIRST-LAST");
    KVARTS_ASSIGN_OR_RETURN(const int first, Line::ToNumber<int>(ends[0]));
    KVARTS_ASSIGN_OR_RETURN(const int last, Line::ToNumber<int>(ends[1]));
    op->slots.push_back({static_cast<uint16_t>(first), static_cast<uint16_t>(last)});
  }
  op->backward = line.Take("backward");
  op->keys_only = line.Take("keys_only");
  if (const std::string* at = line.TakeValue("at")) {
    KVARTS_ASSIGN_OR_RETURN(op->snapshot, Line::ToNumber<int>(*at));
  }
  return absl::OkStatus();
}

absl::Status ParseNext(Line& line, Operation* op) {
  op->kind = Kind::kNext;
  KVARTS_ASSIGN_OR_RETURN(op->id, line.Number());
  if (const std::string* entries = line.TakeValue("entries")) {
    KVARTS_ASSIGN_OR_RETURN(op->limits.entries, Line::ToNumber<size_t>(*entries));
  }
  if (const std::string* bytes = line.TakeValue("bytes")) {
    KVARTS_ASSIGN_OR_RETURN(op->limits.bytes, Line::ToNumber<size_t>(*bytes));
  }
  return absl::OkStatus();
}

absl::Status ParseOperation(Line& line, Operation* op) {
  KVARTS_ASSIGN_OR_RETURN(const std::string verb, line.Word());
  if (verb == "get") return ParseGet(line, op);
  if (verb == "write") return ParseWrite(line, op);
  if (verb == "modify") return ParseModify(line, op);
  if (verb == "cursor") return ParseCursor(line, op);
  if (verb == "next") return ParseNext(line, op);
  if (verb == "resume") {
    op->kind = Kind::kResume;
    KVARTS_ASSIGN_OR_RETURN(op->id, line.Number());
    const std::string* const from = line.TakeValue("after");
    if (from == nullptr) return Bad("resume needs after=");
    KVARTS_ASSIGN_OR_RETURN(op->from, Line::ToNumber<int>(*from));
  } else if (verb == "snapshot" || verb == "drop_snapshot") {
    op->kind = verb == "snapshot" ? Kind::kSnapshot : Kind::kDropSnapshot;
    KVARTS_ASSIGN_OR_RETURN(op->id, line.Number());
  } else if (verb == "advance") {
    op->kind = Kind::kAdvance;
    KVARTS_ASSIGN_OR_RETURN(op->advance_ms, line.Number());
  } else if (verb == "reopen") {
    op->kind = Kind::kReopen;
    op->close = !line.Take("noclose");
  } else if (verb == "stats") {
    op->kind = Kind::kStats;
  } else if (verb == "sync") {
    op->kind = Kind::kSync;
  } else {
    return Bad(absl::StrCat("'", verb, "' is no operation"));
  }
  return absl::OkStatus();
}

absl::Status ParseLine(absl::string_view text, History* history) {
  KVARTS_ASSIGN_OR_RETURN(Line line, Line::Parse(text));
  if (line.Take("record")) {
    KVARTS_ASSIGN_OR_RETURN(std::string key, line.Text());
    KVARTS_ASSIGN_OR_RETURN(std::string value, line.Text());
    history->records.emplace_back(std::move(key), std::move(value));
  } else {
    Operation op;
    KVARTS_RETURN_IF_ERROR(ParseOperation(line, &op));
    history->operations.push_back(std::move(op));
  }
  return line.AtEnd() ? absl::OkStatus() : Bad("more than was expected");
}

}  // namespace

absl::StatusOr<History> ParseHistory(absl::string_view text) {
  History history;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    if (absl::Status status = ParseLine(line, &history); !status.ok()) {
      return Bad(absl::StrCat("line ", number, ": ", status.message()));
    }
  }
  return history;
}

}  // namespace kvarts::model
