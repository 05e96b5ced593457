#ifndef KVARTS_APPS_REPL_REPL_H_
#define KVARTS_APPS_REPL_REPL_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "apps/repl/command.h"
#include "apps/repl/maintenance_commands.h"
#include "apps/repl/reply.h"
#include "apps/repl/write_queue.h"
#include "storage/store.h"

namespace kvarts {

// Appends to `out`, in lines, what is in a file of a store.
using InspectFunction = std::function<absl::Status(absl::string_view path, std::string* out)>;

// Puts what can be read of a damaged store in `dir` into `to`, and appends to `out`, in lines, how
// much that was and what could not be read. kDataLoss where there was such.
using RepairFunction =
    std::function<absl::Status(absl::string_view dir, Store* to, std::string* out)>;

struct ReplOptions {
  ReplyStyle style;
  bool sync = true;         // see WriteOptions
  InspectFunction inspect;  // null: this shell inspects no files
  RepairFunction repair;    // null: this shell repairs no stores
  OpenStoreFunction open;   // null: this shell opens no other stores
};

// Not thread-safe. Runs lines of commands on a store, whatever store it is: what it cannot do is
// an error of the command, in one line. An error ends nothing.
class Repl {
 public:
  // `store` and `console` must outlive it.
  Repl(Store* store, ReplOptions options, ReplConsole* console);

  // Runs one line. `number`: of the line in a script, for errors; 0 elsewhere. A write may be
  // answered only later, in Wait() or before the next command that is none.
  void Run(absl::string_view line, uint64_t number);
  // Says that line `number` cannot be run.
  void Refuse(const absl::Status& status, absl::string_view line, uint64_t number);
  // Returns when all writes are answered, and shown.
  void Wait();

  // No further line is to be run: after `exit`, or as nobody takes output any more.
  bool done() const { return done_; }
  // A command failed.
  bool failed() const { return failed_; }

 private:
  absl::Status Execute(const Command& command, Reply* reply);
  absl::Status Get(const Command& command, Reply* reply);
  absl::Status Scan(const Command& command, Reply* reply);
  absl::Status Count(const Command& command, Reply* reply);
  absl::Status Stats(Reply* reply);
  absl::Status Properties(Reply* reply);
  absl::Status Inspect(const Command& command, Reply* reply);
  absl::Status Repair(const Command& command, Reply* reply);
  absl::Status Help(const Command& command, Reply* reply);
  void AnswerWrite(const WriteQueue::Answer& answer);
  // Ends the reply to a command that has run.
  void Finish(absl::string_view command, const absl::Status& status, absl::Duration time,
              uint64_t number, Reply* reply);

  Store* const store_;
  const ReplOptions options_;
  ReplConsole* const console_;
  WriteQueue queue_;
  bool done_ = false;
  bool failed_ = false;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_REPL_H_
