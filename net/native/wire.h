#ifndef KVARTS_NET_NATIVE_WIRE_H_
#define KVARTS_NET_NATIVE_WIRE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "net/native/native.pb.h"
#include "storage/store.h"

namespace kvarts {
namespace native {

// Between the contracts' types and the headers of frames. `payload` is what a
// frame carried; views of it go into what is made from it. Sizes that do not
// add up to the payload are kInvalidArgument.

CapabilitySet ToProto(const Capabilities& capabilities);
// Numbers of a later version count as absent.
Capabilities FromProto(const CapabilitySet& set);

// kInternal for a number that is no code.
absl::Status MakeStatus(uint32_t code, absl::string_view message);
void SetStatus(const absl::Status& status, Response* response);
void AddError(size_t index, const absl::Status& status, Response* response);

absl::Status ReadKeys(const Request& request, absl::string_view payload,
                      std::vector<absl::string_view>* keys);
absl::Status ReadBatch(const Write& write, absl::string_view payload, WriteBatch* batch);

// Takes the expiries and content types of a response for keys 0, 1, ... in turn.
class MetadataReader {
 public:
  explicit MetadataReader(const Response& response) : response_(response) {}
  // Both lists are absent or have `items` numbers.
  absl::Status Check(size_t items) const;
  int64_t expires_at_ms(size_t i) const {
    return response_.expires_at_ms_size() == 0 ? 0 : response_.expires_at_ms(static_cast<int>(i));
  }
  absl::string_view content_type(size_t i) const;

 private:
  const Response& response_;
};

// Puts the expiries and content types of keys 0, 1, ... into a response.
class MetadataWriter {
 public:
  MetadataWriter(Response* response, size_t items) : response_(response), items_(items) {}
  void Add(size_t i, int64_t expires_at_ms, absl::string_view content_type) {
    if (expires_at_ms != 0 || !content_type.empty()) AddSlow(i, expires_at_ms, content_type);
  }

 private:
  void AddSlow(size_t i, int64_t expires_at_ms, absl::string_view content_type);

  Response* const response_;
  const size_t items_;
};

}  // namespace native
}  // namespace kvarts

#endif  // KVARTS_NET_NATIVE_WIRE_H_
