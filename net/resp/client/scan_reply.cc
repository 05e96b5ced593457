#include "net/resp/client/scan_reply.h"

#include "absl/strings/numbers.h"
#include "net/resp/client/command.h"

namespace kvarts {
namespace resp_client {

absl::Status ScanReply::Take(const ReplyItem& item) {
  using Kind = ReplyItem::Kind;
  bool fits = false;
  if (item.depth == 0) {
    fits = item.kind == Kind::kArray && item.number == 2;
  } else if (item.depth == 1 && !has_next_) {
    has_next_ = true;
    fits = item.kind == Kind::kBulk && absl::SimpleAtoi(item.text, &next_);
  } else if (item.depth == 1) {
    fits = item.kind == Kind::kArray;
  } else if (item.depth == 2 && item.kind == Kind::kBulk) {
    fits = true;
    keys_.emplace_back(item.text);
  }
  return fits ? absl::OkStatus() : NonsenseError();
}

void ScanReply::Clear() {
  has_next_ = false;
  next_ = 0;
  keys_.clear();
}

}  // namespace resp_client
}  // namespace kvarts
