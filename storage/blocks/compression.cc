#include "storage/blocks/compression.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "absl/status/status.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

constexpr int kZstdLevel = 1;

template <typename T, size_t (*free)(T*)>
struct Free {
  void operator()(T* context) const { free(context); }
};
template <typename T, size_t (*free)(T*)>
using Context = std::unique_ptr<T, Free<T, free>>;

// Into the room behind `out`; how much it is, or 0.
size_t CompressInto(Compression how, absl::string_view block, char* out, size_t room) {
  if (how == Compression::kLz4) {
    const int n = LZ4_compress_default(block.data(), out, static_cast<int>(block.size()),
                                       static_cast<int>(room));
    return n > 0 ? static_cast<size_t>(n) : 0;
  }
  // A context costs more than a block does: each thread has one, as long as it lives.
  thread_local const Context<ZSTD_CCtx, ZSTD_freeCCtx> context(ZSTD_createCCtx());
  if (context == nullptr) return 0;
  const size_t n =
      ZSTD_compressCCtx(context.get(), out, room, block.data(), block.size(), kZstdLevel);
  return ZSTD_isError(n) != 0 ? 0 : n;
}

}  // namespace

Compression Compress(Compression wanted, absl::string_view block, std::string* out) {
  if (wanted != Compression::kNone && block.size() >= 64 &&
      block.size() <= size_t{std::numeric_limits<int>::max()} / 2) {
    const size_t before = out->size();
    AppendVarint(out, block.size());
    const size_t start = out->size();
    // Room for what saves an eighth, and no more: who needs more fails, and is kept as it is.
    const size_t room = block.size() - block.size() / 8;
    out->resize(start + room);
    const size_t size = CompressInto(wanted, block, &(*out)[start], room);
    if (size > 0) {
      out->resize(start + size);
      return wanted;
    }
    out->resize(before);
  }
  out->append(block.data(), block.size());
  return Compression::kNone;
}

absl::StatusOr<size_t> DecompressedSize(Compression how, absl::string_view bytes,
                                        size_t max_bytes) {
  if (how == Compression::kNone) return bytes.size();
  ByteReader reader(bytes);
  const uint64_t size = reader.Varint();
  const uint64_t packed = reader.left();
  // What so few bytes can come to at the most: 255 for one under LZ4, and a block of 128 KiB for
  // three under zstd.
  const uint64_t most =
      how == Compression::kLz4 ? packed * 255 : (packed / 3 + 1) * (uint64_t{128} << 10);
  if (!reader.ok() || size > std::min<uint64_t>(max_bytes, most)) {
    return absl::DataLossError("a bad size of a block");
  }
  return static_cast<size_t>(size);
}

absl::Status DecompressTo(Compression how, absl::string_view bytes, char* out, size_t size) {
  if (how == Compression::kNone) {
    std::copy(bytes.begin(), bytes.end(), out);
    return absl::OkStatus();
  }
  ByteReader reader(bytes);
  reader.Varint();
  const absl::string_view packed = reader.Raw(reader.left());
  bool good = false;
  if (how == Compression::kLz4 && packed.size() <= size_t{std::numeric_limits<int>::max()}) {
    good = LZ4_decompress_safe(packed.data(), out, static_cast<int>(packed.size()),
                               static_cast<int>(size)) == static_cast<int>(size);
  } else if (how == Compression::kZstd) {
    thread_local const Context<ZSTD_DCtx, ZSTD_freeDCtx> context(ZSTD_createDCtx());
    good = context != nullptr &&
           ZSTD_decompressDCtx(context.get(), out, size, packed.data(), packed.size()) == size;
  }
  return good ? absl::OkStatus() : absl::DataLossError("a block that cannot be decompressed");
}

absl::StatusOr<std::string> Decompress(Compression how, absl::string_view bytes, size_t max_bytes) {
  KVARTS_ASSIGN_OR_RETURN(const size_t size, DecompressedSize(how, bytes, max_bytes));
  std::string block(size, '\0');
  KVARTS_RETURN_IF_ERROR(DecompressTo(how, bytes, block.data(), size));
  return block;
}

}  // namespace kvarts
