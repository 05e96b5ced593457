#ifndef KVARTS_APPS_REPL_MAINTENANCE_COMMANDS_H_
#define KVARTS_APPS_REPL_MAINTENANCE_COMMANDS_H_

#include "absl/status/status.h"
#include "apps/repl/command.h"
#include "apps/repl/reply.h"
#include "storage/store.h"

namespace kvarts {

// True for the commands that are the care of a store's files: storage/maintenance.h.
bool IsMaintenance(Verb verb);
// REQUIRES: IsMaintenance(). kUnimplemented where the store has no files of its own.
absl::Status RunMaintenance(const Command& command, Store* store, Reply* reply);

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_MAINTENANCE_COMMANDS_H_
