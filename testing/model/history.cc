#include "testing/model/history.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "testing/model/manual_clock.h"

namespace kvarts::model {
namespace {

using Kind = Operation::Kind;
using Change = Metadata::Change;

void AppendMetadata(const MutationStep& step, std::string* out) {
  if (step.expiry == Change::kKeep) absl::StrAppend(out, " expiry=keep");
  if (step.expiry == Change::kSet) absl::StrAppend(out, " expiry=", step.expires_in_ms);
  if (step.content_type == Change::kKeep) absl::StrAppend(out, " type=keep");
  if (step.content_type == Change::kSet) absl::StrAppend(out, " type=", Quote(step.type));
}

std::string ToText(const MutationStep& step) {
  std::string out;
  switch (step.kind) {
    case Mutation::Kind::kPut:
      out = absl::StrCat("put ", Quote(step.key), " ", Quote(step.value));
      break;
    case Mutation::Kind::kDelete:
      return absl::StrCat("delete ", Quote(step.key));
    case Mutation::Kind::kTouch:
      out = absl::StrCat("touch ", Quote(step.key));
      break;
    case Mutation::Kind::kDeleteRange:
      return absl::StrCat("delete_range ", Quote(step.key), " ", Quote(step.value));
  }
  AppendMetadata(step, &out);
  return out;
}

std::string ToText(const PreconditionStep& step) {
  switch (step.kind) {
    case Precondition::Kind::kAbsent:
      return absl::StrCat("if_absent ", Quote(step.key));
    case Precondition::Kind::kPresent:
      return absl::StrCat("if_present ", Quote(step.key));
    case Precondition::Kind::kUnchanged:
      return absl::StrCat("if_unchanged ", Quote(step.key), " stamps=", step.stamps);
  }
  return "?";
}

std::string WriteText(const Operation& op) {
  std::string out = "write";
  if (op.atomic) absl::StrAppend(&out, " atomic");
  if (op.report_existed) absl::StrAppend(&out, " existed");
  if (!op.sync) absl::StrAppend(&out, " nosync");
  const char* separator = " : ";
  for (const PreconditionStep& step : op.preconditions) {
    absl::StrAppend(&out, separator, ToText(step));
    separator = " ; ";
  }
  for (const MutationStep& step : op.mutations) {
    absl::StrAppend(&out, separator, ToText(step));
    separator = " ; ";
  }
  return out;
}

std::string CursorText(const Operation& op) {
  std::string out = absl::StrCat("cursor ", op.id);
  if (!op.range.begin.empty()) absl::StrAppend(&out, " from=", Quote(op.range.begin));
  if (!op.range.end.empty()) absl::StrAppend(&out, " to=", Quote(op.range.end));
  for (const SlotRange& slots : op.slots) {
    absl::StrAppend(&out, " slots=", slots.first, "-", slots.last);
  }
  if (op.backward) absl::StrAppend(&out, " backward");
  if (op.keys_only) absl::StrAppend(&out, " keys_only");
  if (op.snapshot != 0) absl::StrAppend(&out, " at=", op.snapshot);
  return out;
}

}  // namespace

Mutation MutationStep::ToMutation() const {
  return {kind, key, value, {expiry, ManualClock::kStartMs + expires_in_ms, content_type, type}};
}

std::string Quote(absl::string_view bytes) {
  if (bytes.size() > 20 && bytes.find_first_not_of(bytes[0]) == absl::string_view::npos) {
    return absl::StrCat("\"", absl::CEscape(bytes.substr(0, 1)), "\"*", bytes.size());
  }
  return absl::StrCat("\"", absl::CEscape(bytes), "\"");
}

std::string ToText(const Operation& op) {
  switch (op.kind) {
    case Kind::kGet: {
      std::string out = "get";
      if (op.id != 0) absl::StrAppend(&out, " stamps=", op.id);
      if (!op.value) absl::StrAppend(&out, " novalue");
      if (op.snapshot != 0) absl::StrAppend(&out, " at=", op.snapshot);
      for (const std::string& key : op.keys) absl::StrAppend(&out, " ", Quote(key));
      return out;
    }
    case Kind::kWrite:
      return WriteText(op);
    case Kind::kModify: {
      static constexpr const char* kNames[] = {"nothing", "append", "delete", "fail"};
      std::string out =
          absl::StrCat("modify ", Quote(op.keys[0]), " ", kNames[static_cast<int>(op.modifier)]);
      if (op.modifier == Operation::Modifier::kAppend) {
        absl::StrAppend(&out, " ", Quote(op.appended));
      }
      return out;
    }
    case Kind::kSnapshot:
      return absl::StrCat("snapshot ", op.id);
    case Kind::kDropSnapshot:
      return absl::StrCat("drop_snapshot ", op.id);
    case Kind::kCursor:
      return CursorText(op);
    case Kind::kNext:
      return absl::StrCat("next ", op.id, " entries=", op.limits.entries,
                          " bytes=", op.limits.bytes);
    case Kind::kResume:
      return absl::StrCat("resume ", op.id, " after=", op.from);
    case Kind::kAdvance:
      return absl::StrCat("advance ", op.advance_ms);
    case Kind::kReopen:
      return op.close ? "reopen" : "reopen noclose";
    case Kind::kStats:
      return "stats";
    case Kind::kSync:
      return "sync";
  }
  return "?";
}

std::string ToText(const History& history) {
  std::string out;
  for (const auto& [key, value] : history.records) {
    absl::StrAppend(&out, "record ", Quote(key), " ", Quote(value), "\n");
  }
  for (const Operation& op : history.operations) absl::StrAppend(&out, ToText(op), "\n");
  return out;
}

}  // namespace kvarts::model
