#ifndef KVARTS_APPS_REPL_SHELL_H_
#define KVARTS_APPS_REPL_SHELL_H_

#include <string>

#include "apps/repl/repl.h"
#include "storage/store.h"

namespace kvarts {

struct ShellOptions {
  bool json = false;
  bool sync = true;         // see WriteOptions
  InspectFunction inspect;  // see ReplOptions
  RepairFunction repair;    // likewise
  OpenStoreFunction open;   // likewise
  // The first line that is shown at a terminal.
  std::string greeting;
};

// Runs the commands of the standard input on `store` until they end: with a prompt where input and
// output are a terminal, else as a script, whose consecutive writes wait for the disk together.
// Then closes the store. Returns the exit status of the program: 1 where a command of a script
// failed, or the store could not be closed. A signal that asks the program to end does so.
//
// On main()'s thread, once in a process.
int RunShell(Store* store, const ShellOptions& options);

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_SHELL_H_
