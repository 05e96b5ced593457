#ifndef KVARTS_TESTING_MODEL_HISTORY_H_
#define KVARTS_TESTING_MODEL_HISTORY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/slot.h"
#include "storage/store.h"
#include "testing/conformance/store_fixture.h"

// What the model test does to a store, as values: made from a seed, written as
// text, read back, cut down. README.md has the text by example.
namespace kvarts::model {

struct MutationStep {
  Mutation::Kind kind = Mutation::Kind::kPut;
  std::string key;
  std::string value;  // of a put; the end of a range
  Metadata::Change expiry = Metadata::Change::kClear;
  int64_t expires_in_ms = 0;  // for kSet: behind ManualClock::kStartMs
  Metadata::Change content_type = Metadata::Change::kClear;
  std::string type;

  // Views into this object.
  Mutation ToMutation() const;
};

struct PreconditionStep {
  Precondition::Kind kind = Precondition::Kind::kAbsent;
  std::string key;
  int stamps = 0;  // for kUnchanged: the read whose stamp is meant
};

// One call. Numbers name what calls make for later ones: stamps, snapshots,
// cursors. An operation that names what is not there (any more) does nothing, so
// that any part of a history is one.
struct Operation {
  enum class Kind : unsigned char {
    kGet = 0,
    kWrite,
    kModify,
    kSnapshot,
    kDropSnapshot,
    kCursor,
    kNext,
    kResume,  // a new cursor from the position of another
    kAdvance,
    kReopen,
    kStats,
    kSync,
  };
  enum class Modifier : unsigned char { kNothing = 0, kAppend, kDelete, kFail };

  Kind kind = Kind::kSync;
  int id = 0;                     // get: of its stamps, 0 for none; else of the snapshot or cursor
  int from = 0;                   // kResume: the other cursor
  int snapshot = 0;               // kGet, kCursor: 0 for the newest state
  std::vector<std::string> keys;  // kGet; kModify: the only one
  bool value = true;              // kGet

  bool atomic = false;  // kWrite from here
  bool report_existed = false;
  bool sync = true;
  std::vector<MutationStep> mutations;
  std::vector<PreconditionStep> preconditions;

  Modifier modifier = Modifier::kNothing;
  std::string appended;

  KeyRange range;  // kCursor from here
  std::vector<SlotRange> slots;
  bool backward = false;
  bool keys_only = false;

  PageLimits limits;       // kNext
  int64_t advance_ms = 0;  // kAdvance
  bool close = true;       // kReopen: Close() before the end
};

struct History {
  Records records;  // what the store holds at first
  std::vector<Operation> operations;
};

// One line each; ToText(history) ends each with a newline.
std::string ToText(const Operation& operation);
std::string ToText(const History& history);
// Empty lines and those that begin with '#' are skipped. Errors name the line.
absl::StatusOr<History> ParseHistory(absl::string_view text);

// "abc\000" in quotes, long runs of one byte as "x"*5000.
std::string Quote(absl::string_view bytes);

}  // namespace kvarts::model

#endif  // KVARTS_TESTING_MODEL_HISTORY_H_
