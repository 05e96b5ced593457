#ifndef KVARTS_NET_RESP_CLIENT_SCAN_REPLY_H_
#define KVARTS_NET_RESP_CLIENT_SCAN_REPLY_H_

#include "base/language.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "net/resp/client/reply_parser.h"

namespace kvarts {
namespace resp_client {

// Not thread-safe. The reply to a SCAN, [cursor, [key...]], gathered from its
// items.
class ScanReply {
 public:
  // An item of the reply, no error. kInternal where it does not fit.
  absl::Status Take(const ReplyItem& item);
  void Clear();

  uint64_t next() const { return next_; }  // the cursor to ask with; 0: it is over
  std::vector<std::string>& keys() { return keys_; }

 private:
  bool has_next_ = false;
  uint64_t next_ = 0;
  std::vector<std::string> keys_;
};

}  // namespace resp_client
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLIENT_SCAN_REPLY_H_
