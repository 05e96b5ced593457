#include "testing/model/generator.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kvarts::model {
namespace {

using Kind = Operation::Kind;
using Change = Metadata::Change;

// Expiries for stores whose clock the test does not move.
constexpr int64_t kFarFutureMs = int64_t{100} * 365 * 86400 * 1000;
constexpr int64_t kLongAgoMs = -int64_t{10} * 365 * 86400 * 1000;

// Not thread-safe.
class Generator {
 public:
  Generator(uint64_t seed, const Capabilities& has, const StoreFixture& fixture, bool has_clock)
      : random_(seed), has_(has), fixture_(fixture), has_clock_(has_clock) {
    using namespace std::string_literals;  // NOLINT(build/namespaces): for zero bytes
    std::vector<std::string> pool = {"",
                                     "\0"s,
                                     "a",
                                     "a\0"s,
                                     "a\0\0"s,
                                     "aa",
                                     "ab",
                                     "b",
                                     "p",
                                     "p/",
                                     "p/1",
                                     "p/1/x",
                                     "p/2",
                                     "p0",
                                     "q q",
                                     "n\n",
                                     "\xc3\xa9",
                                     "\xfe",
                                     "\xff",
                                     "\xff\xff",
                                     "{t}1",
                                     "{t}2",
                                     "{t}3",
                                     "{u}1",
                                     std::string(200, 'l'),
                                     std::string(199, 'l')};
    for (int i = 0; i < 6; ++i) {
      pool.push_back(
          absl::StrFormat("f47ac10b-58cc-4372-a567-0e02b2c3d4%02x", 0x79 + i / 2 * 16 + i % 2));
    }
    for (std::string& key : pool) {
      if (fixture_.Accepts(key, "v")) keys_.push_back(std::move(key));
    }
    // A part of them, at times a small one.
    for (size_t i = keys_.size(); i > 1; --i) std::swap(keys_[i - 1], keys_[Below(i)]);
    keys_.resize(std::max<size_t>(2, keys_.size() / (1 + Below(4))));
  }

  Records InitialRecords() {
    Records records;
    // A read-only store gets all it ever holds here.
    const bool read_only = !has_.has(has_.write);
    if (!read_only && Below(2) == 0) return records;
    for (const std::string& key : keys_) {
      if (Below(3) != 0) records.emplace_back(key, Value(key));
    }
    const int more = read_only && Below(2) == 0 ? Below(3000) : 0;
    for (int i = 0; i < more; ++i) {
      std::string key = i % 3 == 0 ? absl::StrFormat("family/%05d", i) : Uuid();
      std::string value = Value(key);
      if (!fixture_.Accepts(key, value)) continue;
      if (Below(20) == 0) keys_.push_back(key);
      records.emplace_back(std::move(key), std::move(value));
    }
    return records;
  }

  Operation Next() {
    struct Choice {
      int weight;
      Operation (Generator::*make)();
    };
    const bool writes = has_.has(has_.write);
    const Choice choices[] = {
        {25, &Generator::Get},
        {writes ? 35 : 2, &Generator::Write},
        {writes ? 5 : 1, &Generator::Modify},
        {has_.has(has_.snapshot) ? 4 : 0, &Generator::TakeSnapshot},
        {has_.has(has_.snapshot) ? 2 : 0, &Generator::DropSnapshot},
        {has_.has(has_.scan) ? 6 : 1, &Generator::OpenCursor},
        {has_.has(has_.scan) ? 18 : 0, &Generator::NextPage},
        {has_.has(has_.scan) ? 4 : 0, &Generator::Resume},
        {has_clock_ ? 4 : 0, &Generator::Advance},
        {fixture_.can_reopen() ? 1 : 0, &Generator::Reopen},
        {2, &Generator::Stats},
        {1, &Generator::Sync},
    };
    int total = 0;
    for (const Choice& choice : choices) total += choice.weight;
    int pick = Below(total);
    for (const Choice& choice : choices) {
      pick -= choice.weight;
      if (pick < 0) return (this->*choice.make)();
    }
    return Sync();
  }

 private:
  int Below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  bool OneIn(int n) { return Below(n) == 0; }
  bool Allowed(Support support) { return has_.has(support) ? OneIn(2) : OneIn(60); }
  // One of the last few of `count` numbers; 0 where there is none.
  int Recent(int count) { return count == 0 ? 0 : count - Below(std::min(count, 4)); }

  std::string Uuid() {
    const uint64_t a = random_();
    const uint64_t b = random_();
    return absl::StrFormat("%08x-%04x-4%03x-a%03x-%012x", a >> 32, (a >> 16) & 0xffff, a & 0xfff,
                           b >> 52, b & 0xffffffffffff);
  }

  std::string Key() { return keys_[Below(static_cast<int>(keys_.size()))]; }

  // Of each a new one, so that a stale value shows.
  std::string Value(const std::string& key) {
    ++values_;
    std::string value = absl::StrCat("v", values_);
    switch (Below(12)) {
      case 0:
        value = "";
        break;
      case 1:
        value.push_back('\0');
        break;
      case 2:
        value = std::string(Below(3000), static_cast<char>('a' + values_ % 26));
        break;
      case 3:
        value += "\nand more\r\n";
        break;
      case 4:
        value = " " + value + "\t";
        break;
      default:
        break;
    }
    if (OneIn(400)) value = std::string(100000 + Below(100000), 'L');
    return fixture_.Accepts(key, value) ? value : absl::StrCat("v", values_);
  }

  KeyRange Range() {
    switch (Below(6)) {
      case 0:
        return KeyRange::FromTo(Key(), Key());  // empty, every other time
      case 1:
        return KeyRange::From(Key());
      case 2:
        return KeyRange::Prefix(Key());
      case 3:
        return KeyRange::Point(Key());
      case 4: {
        const std::string a = Key();
        const std::string b = Key();
        return KeyRange::FromTo(std::min(a, b), std::max(a, b));
      }
      default:
        return KeyRange::All();
    }
  }

  Operation Get() {
    Operation op;
    op.kind = Kind::kGet;
    const int n = OneIn(10) ? 0 : OneIn(2) ? 1 : 1 + Below(8);
    for (int i = 0; i < n; ++i) op.keys.push_back(Key());
    op.value = !OneIn(6);
    if (Allowed(has_.conditions)) op.id = ++stamps_;
    if (OneIn(4)) op.snapshot = Recent(snapshots_);
    return op;
  }

  int64_t Expiry() {
    if (!has_clock_) return OneIn(4) ? kLongAgoMs : kFarFutureMs + Below(100);
    return OneIn(8) ? -1 - Below(1000) : now_ms_ + Below(200);
  }

  MutationStep Mutate(const std::string& key) {
    MutationStep step;
    step.key = key;
    const int kind = Below(20);
    if (kind < 10) {
      step.kind = Mutation::Kind::kPut;
      step.value = Value(key);
    } else if (kind < 15) {
      step.kind = Mutation::Kind::kDelete;
      return step;
    } else if (kind < 18 || !Allowed(has_.delete_range)) {
      step.kind = Mutation::Kind::kTouch;
    } else {
      const KeyRange range = Range();
      step.kind = Mutation::Kind::kDeleteRange;
      step.key = range.begin;
      step.value = range.end;
      return step;
    }
    if (OneIn(3)) step.expiry = Change::kKeep;
    if (Allowed(has_.expiry)) {
      step.expiry = Change::kSet;
      step.expires_in_ms = Expiry();
    }
    if (OneIn(3)) step.content_type = Change::kKeep;
    if (Allowed(has_.content_type)) {
      step.content_type = Change::kSet;
      step.type = absl::StrCat("t/", Below(5));
    }
    return step;
  }

  Operation Write() {
    Operation op;
    op.kind = Kind::kWrite;
    op.report_existed = OneIn(2);
    op.sync = OneIn(2);
    op.atomic = has_.batch_scope == BatchScope::kNone ? OneIn(30) : OneIn(2);
    // What an atomic batch may span here; at times it spans more.
    const bool one_key = op.atomic && (has_.batch_scope == BatchScope::kShard ||
                                       (has_.batch_scope != BatchScope::kStore && !OneIn(20)));
    const std::string key = Key();
    const int n = OneIn(3) ? 1 + Below(6) : 1;
    for (int i = 0; i < n; ++i) {
      MutationStep step = Mutate(one_key ? key : Key());
      if (one_key && step.kind == Mutation::Kind::kDeleteRange) continue;
      op.mutations.push_back(std::move(step));
    }
    const int conditions = op.atomic && Allowed(has_.conditions) ? 1 + Below(2) : 0;
    for (int i = 0; i < conditions; ++i) {
      PreconditionStep step;
      step.kind = static_cast<Precondition::Kind>(Below(3));
      step.key = one_key || OneIn(2) ? key : Key();
      step.stamps = Recent(stamps_);
      op.preconditions.push_back(std::move(step));
    }
    return op;
  }

  Operation Modify() {
    Operation op;
    op.kind = Kind::kModify;
    op.keys = {Key()};
    const int kind = Below(8);
    op.modifier = static_cast<Operation::Modifier>(kind < 4 ? kind : 1);
    if (op.modifier == Operation::Modifier::kAppend) op.appended = absl::StrCat("+", ++values_);
    return op;
  }

  Operation TakeSnapshot() {
    Operation op;
    op.kind = Kind::kSnapshot;
    op.id = ++snapshots_;
    return op;
  }

  Operation DropSnapshot() {
    Operation op;
    op.kind = Kind::kDropSnapshot;
    op.id = Recent(snapshots_);
    return op;
  }

  Operation OpenCursor() {
    Operation op;
    op.kind = Kind::kCursor;
    op.id = ++cursors_;
    op.range = Range();
    op.backward = Allowed(has_.backward_scan);
    op.keys_only = OneIn(5);
    if (Allowed(has_.slot_scan)) {
      const uint16_t slot = KeySlot(Key());
      op.slots.push_back(OneIn(2) ? SlotRange{0, slot} : SlotRange{slot, kSlots - 1});
      if (OneIn(3)) op.slots.push_back({slot, slot});
    }
    if (OneIn(3)) op.snapshot = Recent(snapshots_);
    return op;
  }

  Operation NextPage() {
    Operation op;
    op.kind = Kind::kNext;
    op.id = Recent(cursors_);
    op.limits.entries = OneIn(3) ? 1000 : 1 + Below(5);
    op.limits.bytes = OneIn(3) ? 1 + Below(200) : 1 << 20;
    return op;
  }

  Operation Resume() {
    Operation op;
    op.kind = Kind::kResume;
    op.from = Recent(cursors_);
    op.id = ++cursors_;
    return op;
  }

  Operation Advance() {
    Operation op;
    op.kind = Kind::kAdvance;
    op.advance_ms = 1 + Below(60);
    now_ms_ += op.advance_ms;
    return op;
  }

  Operation Reopen() {
    Operation op;
    op.kind = Kind::kReopen;
    op.close = OneIn(2);
    return op;
  }

  Operation Stats() {
    Operation op;
    op.kind = Kind::kStats;
    return op;
  }

  Operation Sync() {
    Operation op;
    op.kind = Kind::kSync;
    return op;
  }

  std::mt19937_64 random_;  // the same everywhere, unlike the standard's distributions
  const Capabilities has_;
  const StoreFixture& fixture_;
  const bool has_clock_;
  std::vector<std::string> keys_;
  int64_t now_ms_ = 0;  // behind the clock's start
  int values_ = 0;
  int stamps_ = 0;
  int snapshots_ = 0;
  int cursors_ = 0;
};

}  // namespace

History RandomHistory(uint64_t seed, int operations, const Capabilities& has,
                      const StoreFixture& fixture, bool has_clock) {
  Generator generator(seed, has, fixture, has_clock);
  History history;
  history.records = generator.InitialRecords();
  for (int i = 0; i < operations; ++i) history.operations.push_back(generator.Next());
  return history;
}

}  // namespace kvarts::model
