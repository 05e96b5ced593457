#ifndef KVARTS_NET_RESP_MODIFY_H_
#define KVARTS_NET_RESP_MODIFY_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "net/resp/commands.h"
#include "net/resp/key_slots.h"

// What commands share that make a value of the one before, by Store::Modify().
namespace kvarts {
namespace resp {

inline constexpr char kTooLong[] = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

// An error whose message is the whole reply.
inline absl::Status ReplyError(absl::string_view text) { return absl::AbortedError(text); }

// "+OK", the message of a ReplyError(), or the reply for a store's error.
inline void AnswerStatus(const absl::Status& status, ReplyWriter* reply) {
  if (status.ok()) return reply->Ok();
  const bool is_whole = absl::IsAborted(status) && !IsElsewhere(status);
  reply->Error(is_whole ? std::string(status.message()) : ErrorText(status));
}

// A value that is copied to be changed is work too: others may have their turn.
inline void CountCopy(CommandCall* call, size_t bytes) { call->work += bytes >> 10; }

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_MODIFY_H_
