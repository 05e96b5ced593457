#include "net/resp/client/store_calls.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/resp/client/command.h"

namespace kvarts {
namespace resp_client {
namespace {

using Kind = ReplyItem::Kind;

}  // namespace

GetCall::GetCall(absl::Span<const absl::string_view> keys, std::vector<uint32_t> places, bool value,
                 bool expiry, ReadResults* results, Form form)
    : places_(std::move(places)),
      value_(value),
      expiry_(expiry),
      asking_(form == Form::kAsking),
      keys_per_group_(form == Form::kTogether ? places_.size() : 1),
      results_(results) {
  for (size_t at = 0; at < places_.size(); at += keys_per_group_) {
    group_ = at / keys_per_group_;
    AddGroup(keys);
    if (at == 0) commands_per_group_ = commands();
  }
  group_ = 0;
}

void GetCall::AddGroup(absl::Span<const absl::string_view> keys) {
  if (asking_) AddCommand({"ASKING"});
  if (expiry_) AddCommand({"MULTI"});
  std::vector<absl::string_view> mget = {"MGET"};
  for (const uint32_t place : group()) {
    value_ ? mget.push_back(keys[place]) : AddCommand({"TYPE", keys[place]});
  }
  if (value_) AddCommand(mget);
  if (!expiry_) return;
  for (const uint32_t place : group()) AddCommand({"PEXPIRETIME", keys[place]});
  AddCommand({"EXEC"});
}

void GetCall::BeginGroup(size_t group) {
  group_ = group;
  has_head_ = failed_ = false;
  values_ = expiries_ = 0;
}

absl::Status GetCall::OnItem(size_t command, const ReplyItem& item) {
  if (command / commands_per_group_ != group_) BeginGroup(command / commands_per_group_);
  if (failed_) return absl::OkStatus();
  const size_t step = command % commands_per_group_;
  const bool is_last = step + 1 == commands_per_group_;
  if ((asking_ && step == 0) || (expiry_ && !is_last)) {  // OK and QUEUED
    if (item.kind == Kind::kError) Fail(group(), ErrorStatus(item.text));
    return item.kind == Kind::kError || item.kind == Kind::kSimple ? absl::OkStatus()
                                                                   : NonsenseError();
  }
  if (!expiry_) return TakeElement(item, 0);
  if (item.depth > 0) return TakeElement(item, 1);
  if (item.kind == Kind::kError) {
    Fail(group(), ErrorStatus(item.text));
    return absl::OkStatus();
  }
  // What was queued, without MULTI, EXEC and what is before them.
  const size_t queued = commands_per_group_ - (asking_ ? 3 : 2);
  return item.kind == Kind::kArray && item.number == static_cast<int64_t>(queued) ? absl::OkStatus()
                                                                                  : NonsenseError();
}

// `depth` is where the reply to MGET, or to TYPE, begins.
absl::Status GetCall::TakeElement(const ReplyItem& item, size_t depth) {
  if (value_ && !has_head_) {
    if (item.depth != depth) return NonsenseError();
    has_head_ = true;
    if (item.kind == Kind::kError) {
      Fail(group(), ErrorStatus(item.text));
      return absl::OkStatus();
    }
    const bool fits =
        item.kind == Kind::kArray && item.number == static_cast<int64_t>(keys_per_group_);
    return fits ? absl::OkStatus() : NonsenseError();
  }
  const bool is_value = values_ < keys_per_group_;
  if (item.depth != (is_value && value_ ? depth + 1 : depth)) return NonsenseError();
  if (is_value) return TakeValue(item);
  return expiries_ < keys_per_group_ ? TakeExpiry(item) : NonsenseError();
}

absl::Status GetCall::TakeValue(const ReplyItem& item) {
  ReadResult& result = results_->mutable_result(group()[values_++]);
  if (item.kind == Kind::kError) {
    result.status = ErrorStatus(item.text);
  } else if (!value_ && item.kind == Kind::kSimple) {
    result.found = item.text == "string";
  } else if (value_ && item.kind == Kind::kBulk) {
    result.found = true;
    result.value = results_->bytes().Copy(item.text);
  } else if (!value_ || item.kind != Kind::kNull) {
    return NonsenseError();
  }
  return absl::OkStatus();
}

absl::Status GetCall::TakeExpiry(const ReplyItem& item) {
  ReadResult& result = results_->mutable_result(group()[expiries_++]);
  if (item.kind == Kind::kError) {
    result.Clear();
    result.status = ErrorStatus(item.text);
    return absl::OkStatus();
  }
  if (item.kind != Kind::kInteger) return NonsenseError();
  // -1: never; -2: there is no such key.
  if (result.found) result.expires_at_ms = std::max<int64_t>(item.number, 0);
  return absl::OkStatus();
}

void GetCall::OnRetry() {
  BeginGroup(0);
  for (const uint32_t place : places_) results_->mutable_result(place).Clear();
}

void GetCall::Fail(absl::Span<const uint32_t> places, const absl::Status& status) {
  failed_ = true;
  for (const uint32_t place : places) {
    ReadResult& result = results_->mutable_result(place);
    result.Clear();
    result.status = Unshared(status);
  }
}

void GetCall::OnDone(const absl::Status& status) {
  if (!status.ok()) Fail(places_, status);
  WaitingCall::OnDone(status);
}

WriteCall::WriteCall(absl::Span<const Mutation> mutations, absl::Span<const uint32_t> places,
                     bool existed, WriteResults* results, bool asking)
    : existed_(existed), asking_(asking), results_(results) {
  SetIsWrite();
  for (const uint32_t place : places) Add(place, mutations[place], existed);
}

void WriteCall::Add(uint32_t place, const Mutation& m, bool existed) {
  const auto add = [&](absl::Span<const absl::string_view> args, Asks asks) {
    if (asking_) {
      AddCommand({"ASKING"});
      steps_.push_back({place, Asks::kOk});
    }
    AddCommand(args);
    steps_.push_back({place, asks});
  };
  const std::string at = absl::StrCat(m.metadata.expires_at_ms);
  const Metadata::Change expiry = m.metadata.expiry;
  if (m.kind == Mutation::Kind::kDelete) return add({"DEL", m.key}, Asks::kCount);
  if (m.kind == Mutation::Kind::kTouch) {
    if (expiry == Metadata::Change::kSet) return add({"PEXPIREAT", m.key, at}, Asks::kCount);
    // PERSIST does not say whether the key is there.
    if (expiry == Metadata::Change::kClear) add({"PERSIST", m.key}, Asks::kNothing);
    return add({"EXISTS", m.key}, Asks::kCount);
  }
  std::vector<absl::string_view> set = {"SET", m.key, m.value};
  if (expiry == Metadata::Change::kSet) set.insert(set.end(), {"PXAT", at});
  if (expiry == Metadata::Change::kKeep) set.emplace_back("KEEPTTL");
  if (existed) set.emplace_back("GET");
  add(set, existed ? Asks::kSetGet : Asks::kOk);
}

absl::Status WriteCall::OnItem(size_t command, const ReplyItem& item) {
  if (item.depth != 0 || item.kind == Kind::kArray) return NonsenseError();
  const Step& step = steps_[command];
  WriteResult& result = results_->results[step.place];
  if (item.kind == Kind::kError) {
    if (result.status.ok()) result.status = ErrorStatus(item.text);
  } else if (step.asks == Asks::kOk) {
    if (item.kind != Kind::kSimple) return NonsenseError();
  } else if (step.asks == Asks::kSetGet) {
    if (item.kind != Kind::kBulk && item.kind != Kind::kNull) return NonsenseError();
    result.existed = item.kind == Kind::kBulk;
  } else {
    if (item.kind != Kind::kInteger) return NonsenseError();
    if (step.asks == Asks::kCount) result.existed = existed_ && item.number > 0;
  }
  answered_ = command + 1;
  return absl::OkStatus();
}

void WriteCall::OnDone(const absl::Status& status) {
  // What was answered is known, also where the rest is not.
  for (size_t i = status.ok() ? steps_.size() : answered_; i < steps_.size(); ++i) {
    results_->results[steps_[i].place] = {Unshared(status), false};
  }
  WaitingCall::OnDone(status);
}

ScanCall::ScanCall(uint64_t cursor, size_t count) {
  AddCommand({"INFO", "server"});
  AddCommand({"SCAN", absl::StrCat(cursor), "COUNT", absl::StrCat(count), "TYPE", "string"});
}

absl::Status ScanCall::OnItem(size_t command, const ReplyItem& item) {
  if (item.kind == Kind::kError && item.depth == 0) {
    if (!status_.ok()) return absl::OkStatus();
    status_ = absl::StartsWith(item.text, "ERR invalid cursor")
                  ? absl::InvalidArgumentError(item.text)
                  : ErrorStatus(item.text);
    return absl::OkStatus();
  }
  if (command == 0) {
    if (item.kind != Kind::kBulk || item.depth != 0) return NonsenseError();
    constexpr absl::string_view kField = "\nrun_id:";
    const size_t at = item.text.find(kField);
    if (at == absl::string_view::npos) return absl::OkStatus();
    const absl::string_view id = item.text.substr(at + kField.size(), 64);
    run_id_ = std::string(id.substr(0, id.find_first_of("\r\n")));
    return absl::OkStatus();
  }
  return reply_.Take(item);
}

void ScanCall::OnRetry() {
  status_ = absl::OkStatus();
  run_id_.clear();
  reply_.Clear();
}

absl::Status NumberCall::OnItem(size_t, const ReplyItem& item) {
  if (item.kind == Kind::kError) {
    status_ = ErrorStatus(item.text);
    return absl::OkStatus();
  }
  if (item.kind != Kind::kInteger) return NonsenseError();
  number_ = item.number;
  return absl::OkStatus();
}

}  // namespace resp_client
}  // namespace kvarts
