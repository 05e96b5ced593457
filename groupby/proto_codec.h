#ifndef KVARTS_GROUPBY_PROTO_CODEC_H_
#define KVARTS_GROUPBY_PROTO_CODEC_H_

#include "base/language.h"

#include <string>
#include <type_traits>

#include "absl/strings/string_view.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/message_lite.h"
#include "groupby/codec.h"

namespace kvarts {

// Protocol buffers as keys and values, by their deterministic serialisation: two
// messages are one key where the same program writes the same bytes for both (maps are
// sorted; unknown fields count). The order of such keys is of the bytes and means
// nothing. Fields that are required and not set are no error.
template <typename T>
struct Codec<T, std::enable_if_t<std::is_base_of<google::protobuf::MessageLite, T>::value>> {
  static void Append(const T& message, CodecUse use, std::string* out) {
    if (use.last) {
      Serialize(message, out);
      return;
    }
    std::string bytes;
    Serialize(message, &bytes);
    codec_internal::AppendBytes(bytes, use, out);
  }

  static bool Parse(absl::string_view* in, CodecUse use, T* message) {
    if (use.last) {
      const absl::string_view bytes = *in;
      in->remove_prefix(in->size());
      return message->ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()));
    }
    std::string bytes;
    return Codec<std::string>::Parse(in, use, &bytes) && message->ParsePartialFromString(bytes);
  }

 private:
  static void Serialize(const T& message, std::string* out) {
    google::protobuf::io::StringOutputStream stream(out);  // appends
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializePartialToCodedStream(&coded);
  }
};

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_PROTO_CODEC_H_
