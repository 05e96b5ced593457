#ifndef KVARTS_APPS_TESTING_REDIS_NODE_H_
#define KVARTS_APPS_TESTING_REDIS_NODE_H_

#include <memory>
#include <string>
#include <vector>

#include "apps/testing/process.h"

namespace kvarts {

// A redis-server in cluster mode that holds no slots, at 127.0.0.1, without files of its data. Not
// thread-safe.
struct RedisNode {
  std::unique_ptr<Process> process;  // null: it does not start
  int port = 0;
};

// `program` is redis-server; `flags` are added. A node of its clusters cannot let the kernel pick a
// port: another program may take it first, and the next one is tried.
RedisNode StartRedisNode(const std::string& program, const std::vector<std::string>& flags,
                         const std::string& directory);

}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_REDIS_NODE_H_
