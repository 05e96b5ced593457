#include "apps/repl/reply.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/repl/quoting.h"
#include "net/http/entry_json.h"
#include "net/http/json.h"

namespace kvarts {
namespace {

constexpr size_t kPrintAt = 64 << 10;

// Whether a value can be written as it is, and nobody takes it for a quoted one.
bool IsUnmistakable(absl::string_view value) {
  return !value.empty() && value != "(absent)" && value[0] != '\'' && value[0] != '"' &&
         !absl::StartsWith(value, "$'") && IsText(value);
}

}  // namespace

Reply::Reply(absl::string_view command, const ReplyStyle& style, ReplConsole* console)
    : style_(style), console_(console) {
  if (!style_.json) return;
  out_ = "{\"command\":";
  AppendJsonBytes(command, &out_);
}

void Reply::Line(absl::string_view text) {
  if (!style_.json) absl::StrAppend(&out_, text, "\n");
}

void Reply::ValueLine(absl::string_view bytes) {
  const bool plain = style_.plain_texts && IsUnmistakable(bytes);
  Line(plain ? std::string(bytes) : QuoteData(bytes));
}

void Reply::Number(absl::string_view name, uint64_t number) {
  if (!style_.json) return;
  Member(name);
  absl::StrAppend(&out_, number);
}

void Reply::Flag(absl::string_view name, bool flag) {
  if (!style_.json) return;
  Member(name);
  absl::StrAppend(&out_, flag ? "true" : "false");
}

void Reply::Bytes(absl::string_view name, absl::string_view bytes) {
  if (!style_.json) return;
  Member(name);
  AppendJsonBytes(bytes, &out_);
}

void Reply::Pairs(absl::string_view name,
                  const std::vector<std::pair<std::string, std::string>>& pairs) {
  for (const auto& [key, value] : pairs) Line(absl::StrCat(key, ": ", QuoteData(value)));
  if (!style_.json) return;
  Member(name);
  absl::string_view comma = "{";
  for (const auto& [key, value] : pairs) {
    absl::StrAppend(&out_, comma);
    AppendJsonBytes(key, &out_);
    out_ += ':';
    AppendJsonBytes(value, &out_);
    comma = ",";
  }
  out_ += pairs.empty() ? "{}" : "}";
}

bool Reply::Entry(const ScanEntry& entry, bool keys_only) {
  if (!style_.json) {
    absl::StrAppend(&out_, QuoteWord(entry.key), keys_only ? "" : " ",
                    keys_only ? "" : QuoteData(entry.value), "\n");
    return PrintSome();
  }
  if (in_entries_) {
    out_ += ',';
  } else {
    Member(keys_only ? "keys" : "entries");
    out_ += '[';
    in_entries_ = true;
  }
  if (keys_only) {
    AppendJsonBytes(entry.key, &out_);
  } else {
    AppendJsonEntry(entry, &out_);
  }
  return PrintSome();
}

void Reply::EndEntries(bool keys_only) {
  if (!style_.json) return;
  if (!in_entries_) {
    Member(keys_only ? "keys" : "entries");
    out_ += '[';
  }
  out_ += ']';
  in_entries_ = false;
}

bool Reply::Flush() {
  if (!out_.empty()) taken_ = console_->Print(out_) && taken_;
  out_.clear();
  taken_ = console_->Flush() && taken_;
  return taken_;
}

bool Reply::Finish(const absl::Status& status, absl::Duration time, uint64_t line) {
  // The clock may have been set back meanwhile.
  const double ms = absl::ToDoubleMilliseconds(std::max(time, absl::ZeroDuration()));
  if (style_.json) {
    if (line > 0) Number("line", line);
    if (!status.ok()) {
      Bytes("error", status.message());
      Bytes("code", absl::StatusCodeToString(status.code()));
    }
    Member("ms");
    absl::StrAppendFormat(&out_, "%.3f}\n", ms);
  }
  if (!out_.empty()) taken_ = console_->Print(out_) && taken_;
  out_.clear();
  if (!status.ok()) console_->Complain(ErrorLine(status, line));
  if (style_.times && !style_.json) {
    taken_ = console_->Print(absl::StrFormat("(%.2f ms)\n", ms)) && taken_;
  }
  return taken_;
}

void Reply::Member(absl::string_view name) { absl::StrAppend(&out_, ",\"", name, "\":"); }

bool Reply::PrintSome() {
  if (out_.size() < kPrintAt || !taken_) return taken_;
  taken_ = console_->Print(out_);
  out_.clear();
  return taken_;
}

std::string ErrorLine(const absl::Status& status, uint64_t line) {
  return absl::StrCat(line > 0 ? absl::StrCat("line ", line, ": ") : "", Shown(status.message()));
}

}  // namespace kvarts
