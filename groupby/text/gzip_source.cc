#include <zlib.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "groupby/text/byte_source.h"
#include "groupby/text/packed_input.h"

namespace kvarts::groupby_text {
namespace {

constexpr absl::string_view kMagic = "\x1F\x8B";

// Members one behind the other, and zero bytes behind the last one, as tapes have them.
class GzipSource final : public ByteSource {
 public:
  GzipSource(std::string name, std::unique_ptr<ByteSource> packed)
      : name_(std::move(name)), input_(std::move(packed)) {}
  ~GzipSource() override {
    if (ready_) ::inflateEnd(&stream_);
  }

  absl::StatusOr<size_t> Read(char* to, size_t room) override {
    while (true) {
      if (!in_member_) {
        KVARTS_ASSIGN_OR_RETURN(const bool more, StartMember());
        if (!more) return size_t{0};
      }
      KVARTS_RETURN_IF_ERROR(input_.Want(1));
      const absl::string_view packed = input_.bytes();
      if (packed.empty()) return Damaged("the file ends inside a gzip member");
      // zlib's type for it has no const; it writes nothing there.
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
      stream_.avail_in = static_cast<uInt>(packed.size());
      stream_.next_out = reinterpret_cast<Bytef*>(to);
      stream_.avail_out = static_cast<uInt>(room);
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      input_.Take(packed.size() - stream_.avail_in);
      if (result == Z_STREAM_END) {
        in_member_ = false;
      } else if (result != Z_OK) {
        return Damaged(absl::StrCat("damaged gzip data",
                                    stream_.msg == nullptr ? "" : absl::StrCat(": ", stream_.msg)));
      }
      if (stream_.avail_out < room) return room - stream_.avail_out;
    }
  }
  uint64_t position() const override { return input_.offset(); }
  uint64_t size() const override { return input_.size(); }

 private:
  // False where the file ends.
  absl::StatusOr<bool> StartMember() {
    KVARTS_RETURN_IF_ERROR(input_.Want(kMagic.size()));
    if (input_.bytes().substr(0, kMagic.size()) != kMagic) {
      if (!ready_) return Damaged("no gzip data");
      while (!input_.bytes().empty()) {
        const size_t data = input_.bytes().find_first_not_of('\0');
        if (data != absl::string_view::npos) {
          input_.Take(data);
          return Damaged("no gzip member behind another one");
        }
        input_.Take(input_.bytes().size());
        KVARTS_RETURN_IF_ERROR(input_.Want(1));
      }
      return false;
    }
    constexpr int kGzip = 16;
    const int result =
        ready_ ? ::inflateReset(&stream_) : ::inflateInit2(&stream_, MAX_WBITS + kGzip);
    if (result != Z_OK) {
      return absl::ResourceExhaustedError(absl::StrCat(name_, ": no memory to decompress with"));
    }
    ready_ = true;
    in_member_ = true;
    return true;
  }

  absl::Status Damaged(absl::string_view what) const {
    return absl::DataLossError(absl::StrCat(name_, ", offset ", input_.offset(), ": ", what));
  }

  const std::string name_;
  PackedInput input_;
  z_stream stream_ = {};
  bool ready_ = false;
  bool in_member_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> NewGzipSource(std::string name, std::unique_ptr<ByteSource> packed) {
  return std::make_unique<GzipSource>(std::move(name), std::move(packed));
}

}  // namespace kvarts::groupby_text
