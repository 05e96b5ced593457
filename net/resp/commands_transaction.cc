#include <memory>

#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {
namespace {

// True, or else the reply is written.
bool CheckStore(CommandCall* call) {
  const absl::Status status = CheckTransactions(call->capabilities());
  if (!status.ok()) call->reply->Error(ErrorText(status));
  return status.ok();
}

Transaction* Start(Connection* connection) {
  if (connection->transaction == nullptr) connection->transaction = std::make_unique<Transaction>();
  return connection->transaction.get();
}

bool IsOpen(const CommandCall& call) {
  return call.connection->transaction != nullptr && call.connection->transaction->open;
}

}  // namespace

void Multi(CommandCall* call) {
  if (IsOpen(*call)) return call->reply->Error("ERR MULTI calls can not be nested");
  if (!CheckStore(call)) return;
  Start(call->connection)->open = true;
  call->reply->Ok();
}

void Exec(CommandCall* call) {
  if (!IsOpen(*call)) return call->reply->Error("ERR EXEC without MULTI");
  if (call->connection->transaction->failed) {
    call->connection->transaction.reset();
    return call->reply->Error("EXECABORT Transaction discarded because of previous errors.");
  }
  call->execute = true;
}

void Discard(CommandCall* call) {
  if (!IsOpen(*call)) return call->reply->Error("ERR DISCARD without MULTI");
  call->connection->transaction.reset();
  call->reply->Ok();
}

void Watch(CommandCall* call) {
  if (IsOpen(*call)) return call->reply->Error("ERR WATCH inside MULTI is not allowed");
  if (!CheckStore(call)) return;
  const auto keys = call->args.subspan(1);
  ReadOptions options;
  options.value = false;
  options.stamp = true;
  ReadResults* const now = call->scratch->results.get();
  call->store()->MultiGet(keys, options, now);
  for (const ReadResult& result : *now) {
    if (!result.status.ok()) return call->reply->Error(ErrorText(result.status));
  }
  Transaction* const transaction = Start(call->connection);
  for (size_t i = 0; i < keys.size(); ++i) transaction->Watch(keys[i], (*now)[i].stamp);
  call->work += keys.size();
  if (transaction->bytes > call->state->options.max_request_bytes) {
    call->connection->transaction.reset();
    return call->reply->Error("ERR too many keys are watched: none is any more");
  }
  call->reply->Ok();
}

// Within a transaction it has nothing to do any more.
void Unwatch(CommandCall* call) {
  call->connection->transaction.reset();
  call->reply->Ok();
}

}  // namespace resp
}  // namespace kvarts
