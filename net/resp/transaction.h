#ifndef KVARTS_NET_RESP_TRANSACTION_H_
#define KVARTS_NET_RESP_TRANSACTION_H_

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/resp/transaction_store.h"

namespace kvarts {
namespace resp {

struct Command;

// A command that waits for EXEC, with its own bytes.
struct QueuedCommand {
  QueuedCommand(const Command& c, absl::Span<const absl::string_view> arguments) : command(&c) {
    args.reserve(arguments.size());
    for (const absl::string_view arg : arguments) args.emplace_back(arg);
  }

  const Command* command;
  std::vector<std::string> args;
};

// Not thread-safe. Of a connection, from WATCH or MULTI to EXEC or DISCARD.
struct Transaction {
  bool open = false;    // MULTI came: commands are queued
  bool failed = false;  // one could not be
  bool has_scripts = false;
  std::vector<QueuedCommand> queue;
  std::map<std::string, Stamp, std::less<>> watched;  // as they were at the first WATCH
  size_t bytes = 0;                                   // about, of queue and watched

  void Queue(const Command& command, absl::Span<const absl::string_view> args) {
    for (const absl::string_view arg : args) bytes += sizeof(std::string) + arg.size();
    bytes += sizeof(QueuedCommand);
    queue.emplace_back(command, args);
  }
  void Watch(absl::string_view key, const Stamp& stamp) {
    if (watched.emplace(key, stamp).second) bytes += 2 * sizeof(WatchedKey) + key.size();
  }
  std::vector<WatchedKey> Watched() const {
    std::vector<WatchedKey> keys;
    for (const auto& [key, stamp] : watched) keys.push_back({key, stamp});
    return keys;
  }
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_TRANSACTION_H_
