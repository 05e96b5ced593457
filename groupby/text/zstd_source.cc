#include <zstd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/size.h"
#include "base/status_macros.h"
#include "groupby/text/byte_source.h"
#include "groupby/text/packed_input.h"

namespace kvarts::groupby_text {
namespace {

constexpr uint32_t kMagic = 0xFD2FB528;
constexpr uint32_t kSkippableMagic = 0x184D2A50;  // and up to 15 more
// zstd's own levels up to 19 have no larger windows.
constexpr uint64_t kFreeWindow = 8 << 20;
constexpr size_t kMaxHeaderBytes = 18;

// The window of the frame whose header `bytes` begins with (RFC 8878, 3.1.1.1); 0 where
// it is cut off.
uint64_t WindowBytes(absl::string_view bytes) {
  if (bytes.size() < 6) return 0;
  const auto at = [bytes](size_t i) {
    return static_cast<uint64_t>(static_cast<uint8_t>(bytes[i]));
  };
  const uint64_t descriptor = at(4);
  if ((descriptor & 0x20) == 0) {
    const uint64_t base = uint64_t{1} << (10 + (at(5) >> 3));
    return base + base / 8 * (at(5) & 7);
  }
  // A single segment: its window is the content.
  constexpr size_t kDictionaryBytes[] = {0, 1, 2, 4};
  const size_t begin = 5 + kDictionaryBytes[descriptor & 3];
  const size_t size = size_t{1} << (descriptor >> 6);
  if (bytes.size() < begin + size) return 0;
  uint64_t content = size == 2 ? 256 : 0;
  for (size_t i = 0; i < size; ++i) content += at(begin + i) << (8 * i);
  return content;
}

int MaxWindowLog() { return ::ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).upperBound; }

// Frames one behind the other; skippable ones are skipped.
class ZstdSource final : public ByteSource {
 public:
  ZstdSource(std::string name, std::unique_ptr<ByteSource> packed, MemoryBudget* budget)
      : name_(std::move(name)), budget_(budget), input_(std::move(packed)) {}
  ~ZstdSource() override {
    ::ZSTD_freeDCtx(context_);
    if (account_ != nullptr) account_->Release(account_->used());
  }

  absl::StatusOr<size_t> Read(char* to, size_t room) override {
    while (true) {
      if (!in_frame_) {
        KVARTS_ASSIGN_OR_RETURN(const bool more, StartFrame());
        if (!more) return size_t{0};
      }
      KVARTS_RETURN_IF_ERROR(input_.Want(1));
      ZSTD_inBuffer in = {input_.bytes().data(), input_.bytes().size(), 0};
      ZSTD_outBuffer out = {to, room, 0};
      const size_t result = ::ZSTD_decompressStream(context_, &out, &in);
      if (::ZSTD_isError(result) != 0) {
        return Damaged(absl::StrCat("damaged zstd data: ", ::ZSTD_getErrorName(result)));
      }
      input_.Take(in.pos);
      in_frame_ = result != 0;
      if (out.pos > 0) return out.pos;
      if (in_frame_ && in.size == 0) return Damaged("the file ends inside a zstd frame");
    }
  }
  uint64_t position() const override { return input_.offset(); }
  uint64_t size() const override { return input_.size(); }

 private:
  // False where the file ends.
  absl::StatusOr<bool> StartFrame() {
    KVARTS_RETURN_IF_ERROR(input_.Want(kMaxHeaderBytes));
    const absl::string_view bytes = input_.bytes();
    if (bytes.empty() && context_ != nullptr) return false;
    if (bytes.size() < 4) return Damaged(context_ == nullptr ? "no zstd data" : kTrailing);
    const uint32_t magic = LoadLE32(bytes.data());
    const bool skippable = (magic & 0xFFFFFFF0) == kSkippableMagic;
    if (magic != kMagic && !skippable) {
      return Damaged(context_ == nullptr ? "no zstd data" : kTrailing);
    }
    if (context_ == nullptr) {
      context_ = ::ZSTD_createDCtx();
      if (context_ == nullptr) {
        return absl::ResourceExhaustedError(absl::StrCat(name_, ": no memory to decompress with"));
      }
      // The budget is what limits windows.
      ::ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, MaxWindowLog());
    }
    if (!skippable) KVARTS_RETURN_IF_ERROR(ReserveWindow(WindowBytes(bytes)));
    in_frame_ = true;
    return true;
  }

  // zstd keeps the largest window that it has had.
  absl::Status ReserveWindow(uint64_t window) {
    if (window <= kFreeWindow || window <= window_) return absl::OkStatus();
    const uint64_t most = uint64_t{1} << MaxWindowLog();
    if (window > most) {
      return TooLarge(window, absl::StrCat("zstd takes at most ", FormatSize(most)));
    }
    if (budget_ == nullptr) return TooLarge(window, "no memory is set aside for it");
    if (account_ == nullptr) account_ = budget_->Open([](size_t) { return 0; });
    const absl::Status reserved = account_->Reserve(window - std::max(window_, kFreeWindow));
    if (!reserved.ok()) {
      return TooLarge(window, absl::StrCat(reserved.message(), "; a larger --memory allows it"));
    }
    window_ = window;
    return absl::OkStatus();
  }

  absl::Status TooLarge(uint64_t window, absl::string_view why) const {
    return absl::ResourceExhaustedError(absl::StrCat(name_, ", offset ", input_.offset(),
                                                     ": a zstd frame with a window of ",
                                                     FormatSize(window), ": ", why));
  }

  absl::Status Damaged(absl::string_view what) const {
    return absl::DataLossError(absl::StrCat(name_, ", offset ", input_.offset(), ": ", what));
  }

  static constexpr const char* kTrailing = "no zstd frame behind another one";

  const std::string name_;
  MemoryBudget* const budget_;
  std::unique_ptr<MemoryBudget::Account> account_;
  uint64_t window_ = 0;
  PackedInput input_;
  ZSTD_DCtx* context_ = nullptr;
  bool in_frame_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> NewZstdSource(std::string name, std::unique_ptr<ByteSource> packed,
                                          MemoryBudget* budget) {
  return std::make_unique<ZstdSource>(std::move(name), std::move(packed), budget);
}

}  // namespace kvarts::groupby_text
