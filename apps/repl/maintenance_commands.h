#ifndef KVARTS_APPS_REPL_MAINTENANCE_COMMANDS_H_
#define KVARTS_APPS_REPL_MAINTENANCE_COMMANDS_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "apps/repl/command.h"
#include "apps/repl/reply.h"
#include "storage/store.h"

namespace kvarts {

// True for the commands that are the care of a store's files: storage/maintenance.h.
bool IsMaintenance(Verb verb);
// Opens the store in a directory to be read.
using OpenStoreFunction = std::function<absl::StatusOr<std::unique_ptr<Store>>(absl::string_view)>;

// REQUIRES: IsMaintenance(). kUnimplemented where the store has no files of its own. `open` is for
// merge_store; null: this shell opens no stores.
absl::Status RunMaintenance(const Command& command, const OpenStoreFunction& open, Store* store,
                            Reply* reply);

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_MAINTENANCE_COMMANDS_H_
