#include "net/native/frame.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/coding.h"

namespace kvarts {
namespace native {
namespace {

// Not text, not ASCII only, with a line end: another protocol, or a transport
// that rewrites bytes, is seen at once.
constexpr char kMagic[9] = "\x89KVARTS\n";
constexpr size_t kMagicBytes = 8;

constexpr size_t kFirstChunk = 4 << 10;   // of a quiet connection
constexpr size_t kUsualChunk = 64 << 10;  // of a busy one
// A chunk above it is not kept when it is empty.
constexpr size_t kMaxKept = 256 << 10;

}  // namespace

void AppendPreamble(std::string* out, const Versions& versions) {
  out->append(kMagic, kMagicBytes);
  AppendLE32(out, versions.min | uint32_t{versions.max} << 16);
  AppendLE32(out, 0);
}

absl::StatusOr<uint16_t> Agree(const Versions& client, const Versions& server) {
  const uint16_t version = std::min(client.max, server.max);
  if (version >= client.min && version >= server.min) return version;
  return absl::FailedPreconditionError(
      absl::StrCat("the client speaks versions ", client.min, " to ", client.max,
                   " of the native protocol, the server ", server.min, " to ", server.max));
}

void AppendFrameHead(const google::protobuf::MessageLite& header, uint64_t payload_bytes,
                     std::string* out) {
  const size_t size = header.ByteSizeLong();
  const size_t at = out->size();
  out->resize(at + kPrefixBytes + size);
  char* const p = out->data() + at;
  StoreLE32(p, static_cast<uint32_t>(size));
  StoreLE64(p + 4, payload_bytes);
  header.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(p + kPrefixBytes));
}

void AppendFrameHead(absl::string_view header, absl::string_view more_header,
                     uint64_t payload_bytes, std::string* out) {
  AppendLE32(out, static_cast<uint32_t>(header.size() + more_header.size()));
  AppendLE64(out, payload_bytes);
  out->append(header.data(), header.size());
  out->append(more_header.data(), more_header.size());
}

absl::Span<char> FrameReader::Space() {
  if (chunk_ == nullptr) MoveTo(kFirstChunk);
  const size_t have = end_ - begin_;
  const bool small_tail = capacity_ - end_ < capacity_ / 4;
  if (have == 0) {
    if (capacity_ > kMaxKept || (pinned_ && small_tail)) {
      MoveTo(kUsualChunk);
    } else if (!pinned_) {
      // A read that filled all of it: more would have come at once.
      if (end_ == capacity_ && capacity_ < kUsualChunk) MoveTo(capacity_ * 4);
      begin_ = end_ = 0;
    }
  } else if (small_tail) {
    const size_t need = std::max(wanted_, have + 1);
    if (!pinned_ && begin_ >= have) {
      std::memmove(chunk_.get(), chunk_.get() + begin_, have);
      begin_ = 0;
      end_ = have;
    } else if (begin_ + need > capacity_) {
      MoveTo(std::max(kUsualChunk, std::min(need, 2 * have)));
    }
  }
  return absl::MakeSpan(chunk_.get() + end_, capacity_ - end_);
}

void FrameReader::MoveTo(size_t capacity) {
  std::shared_ptr<char[]> to(new char[capacity]);
  const size_t have = end_ - begin_;
  if (have > 0) std::memcpy(to.get(), chunk_.get() + begin_, have);
  chunk_ = std::move(to);
  capacity_ = capacity;
  begin_ = 0;
  end_ = have;
  pinned_ = false;
}

absl::StatusOr<bool> FrameReader::NextPreamble(Versions* versions) {
  const char* const p = chunk_.get() + begin_;
  if (std::memcmp(p, kMagic, std::min(unread(), kMagicBytes)) != 0) {
    return absl::InvalidArgumentError(
        "the peer does not speak the kvarts native protocol: its first bytes are not \\x89KVARTS");
  }
  if (unread() < kPreambleBytes) return false;
  const uint32_t both = LoadLE32(p + kMagicBytes);
  versions->min = static_cast<uint16_t>(both);
  versions->max = static_cast<uint16_t>(both >> 16);
  begin_ += kPreambleBytes;
  return true;
}

absl::StatusOr<bool> FrameReader::Next(Frame* frame) {
  wanted_ = 0;
  if (unread() < kPrefixBytes) return false;
  const char* const p = chunk_.get() + begin_;
  const uint64_t header = LoadLE32(p);
  const uint64_t payload = LoadLE64(p + 4);
  if (header > max_header_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "a frame with a header of ", header, " bytes; at most ", max_header_, " are allowed"));
  }
  if (payload > max_frame_ || kPrefixBytes + header + payload > max_frame_) {
    return absl::ResourceExhaustedError(absl::StrCat("a frame with a payload of ", payload,
                                                     " bytes; at most ", max_frame_,
                                                     " are allowed in all"));
  }
  wanted_ = kPrefixBytes + header + payload;
  if (unread() < wanted_) return false;
  frame->header = absl::string_view(p + kPrefixBytes, header);
  frame->payload = absl::string_view(p + kPrefixBytes + header, payload);
  begin_ += wanted_;
  wanted_ = 0;
  return true;
}

}  // namespace native
}  // namespace kvarts
