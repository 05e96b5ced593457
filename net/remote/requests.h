#ifndef KVARTS_NET_REMOTE_REQUESTS_H_
#define KVARTS_NET_REMOTE_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "net/native/client.h"
#include "net/native/native.pb.h"
#include "storage/store.h"

namespace kvarts {
namespace remote {

// Requests made of calls on a store, within what a server takes of one. What `payload` gets
// borrows the caller's bytes: they must stay until ClientCall::SetRequest().

// A longer MultiGet, or batch of independent writes, goes as several requests.
inline constexpr size_t kItemsPerRequest = 8 << 10;

// What the server's store can do, seen from here: calls wait for the network, and an atomic batch
// goes into one request.
Capabilities CapabilitiesOver(const native::ServerHello& server);

// A random client id.
std::string NewClientId();

// With a number of the client's, the operation and the timeout.
native::Request NewRequest(native::Client* client, native::Operation operation,
                           absl::Duration timeout);

// A GET of the first of keys[places[0]], keys[places[1]], ...: at most `most` of them, as many as
// the server takes at once, one at least. Returns how many.
size_t AddKeys(absl::Span<const absl::string_view> keys, absl::Span<const uint32_t> places,
               size_t most, const native::ServerHello& server, const ReadOptions& options,
               native::Request* request, std::vector<absl::string_view>* payload);

// How many of the mutations at `places` go into one request, the first ones: one at least.
size_t CountThatFit(const WriteBatch& batch, absl::Span<const uint32_t> places,
                    const native::ServerHello& server);

// A WRITE of the mutations at `places` and of all preconditions, without a sequence.
// kResourceExhausted: it is more than the server takes.
absl::Status AddWrite(const WriteBatch& batch, absl::Span<const uint32_t> places,
                      const WriteOptions& options, const native::ServerHello& server,
                      native::Request* request, std::vector<absl::string_view>* payload);

// A SCAN, without the limits of a page.
void AddScan(const ScanOptions& options, native::Request* request);

StoreStats ToStoreStats(const native::Stats& stats);

}  // namespace remote
}  // namespace kvarts

#endif  // KVARTS_NET_REMOTE_REQUESTS_H_
