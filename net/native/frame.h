#ifndef KVARTS_NET_NATIVE_FRAME_H_
#define KVARTS_NET_NATIVE_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"

namespace kvarts {
namespace native {

// The bytes around the headers and values: see FORMAT.md.
inline constexpr size_t kPreambleBytes = 16;
inline constexpr size_t kPrefixBytes = 12;
inline constexpr uint16_t kMinVersion = 1;
inline constexpr uint16_t kMaxVersion = 1;
inline constexpr size_t kMaxFrameBytes = 80 << 20;
inline constexpr size_t kMaxHeaderBytes = 4 << 20;
inline constexpr size_t kMaxHelloBytes = 4 << 10;
// ClientHello.features: the store has a maintenance(), and the client may ask for it.
inline constexpr absl::string_view kMaintenanceFeature = "maintenance";
// ... the server is a node of a cluster, and the client may ask for its map.
inline constexpr absl::string_view kClusterFeature = "cluster";
// Of what a server sends.
inline constexpr size_t kMaxAnswerHeaderBytes = 16 << 20;
inline constexpr size_t kMaxAnswerBytes = kMaxFrameBytes + kMaxAnswerHeaderBytes;

struct Versions {
  uint16_t min = kMinVersion;
  uint16_t max = kMaxVersion;
};

void AppendPreamble(std::string* out, const Versions& versions = {});

// The version both sides speak, or kFailedPrecondition with all four named.
absl::StatusOr<uint16_t> Agree(const Versions& client, const Versions& server);

// The lengths and the header of a frame; its payload follows, `payload_bytes`.
void AppendFrameHead(const google::protobuf::MessageLite& header, uint64_t payload_bytes,
                     std::string* out);
// The same around a header that is serialised already, in two parts.
void AppendFrameHead(absl::string_view header, absl::string_view more_header,
                     uint64_t payload_bytes, std::string* out);

struct Frame {
  absl::string_view header;
  absl::string_view payload;
  size_t size() const { return kPrefixBytes + header.size() + payload.size(); }
};

// Not thread-safe. Cuts received bytes into frames. The buffer is of 4 to 64 KiB;
// beyond, it grows with the bytes that came, to at most twice as many, whatever
// a frame declares.
//   reader.Filled(n) after a read of n bytes into reader.Space();
//   then reader.Next() until it says that there is no whole frame.
class FrameReader {
 public:
  FrameReader(size_t max_header_bytes, size_t max_frame_bytes)
      : max_header_(max_header_bytes), max_frame_(max_frame_bytes) {}

  void SetLimits(size_t max_header_bytes, size_t max_frame_bytes) {
    max_header_ = max_header_bytes;
    max_frame_ = max_frame_bytes;
  }

  // Where the next bytes go: never empty. Ends the life of all views into the
  // buffer, unless pin() was taken.
  absl::Span<char> Space();
  void Filled(size_t n) { end_ += n; }

  // True: `versions` are the peer's. False: more bytes are needed. An error as
  // soon as a byte is wrong.
  absl::StatusOr<bool> NextPreamble(Versions* versions);
  // True: `frame` is the next one. kResourceExhausted for one beyond the limits.
  absl::StatusOr<bool> Next(Frame* frame);

  // Bytes that are not yet part of a frame.
  size_t unread() const { return end_ - begin_; }

  // Keeps the bytes of all frames since the last Space() where they are.
  std::shared_ptr<const void> pin() {
    pinned_ = true;
    return chunk_;
  }

 private:
  void MoveTo(size_t capacity);

  size_t max_header_;
  size_t max_frame_;
  std::shared_ptr<char[]> chunk_;
  size_t capacity_ = 0;
  size_t begin_ = 0;     // of what no frame has taken
  size_t end_ = 0;       // of what was received
  size_t wanted_ = 0;    // of the frame at begin_, where its lengths are known
  bool pinned_ = false;  // chunk_ is lent out: append, but never move or rewind
};

}  // namespace native
}  // namespace kvarts

#endif  // KVARTS_NET_NATIVE_FRAME_H_
