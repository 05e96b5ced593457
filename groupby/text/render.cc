#include "groupby/text/render.h"

#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "groupby/text/encoding.h"
#include "groupby/text/json_text.h"
#include "groupby/text/row_limits.h"
#include "groupby/text/text_buffer.h"

namespace kvarts::groupby_text {
namespace {

// What a store takes as a value.
constexpr uint64_t kMaxDataValueBytes = 64 << 20;

// Lines: KEY between VALUE separator VALUE ...
class LinesRender {
 public:
  explicit LinesRender(const RenderOptions& options)
      : options_(options), between_(options.format == OutputFormat::kData ? ' ' : '\t') {}

  absl::Status operator()(Groups::Cursor* group, Groups::Output* output) const {
    TextBuffer text(output);
    std::string encoded;
    const absl::string_view key = group->key();
    const bool data = options_.format == OutputFormat::kData;
    if (data && key.empty()) {
      return absl::InvalidArgumentError("an empty key, which a data file cannot hold");
    }
    KVARTS_RETURN_IF_ERROR(text.Put(Encoded(key, data ? " " : "", &encoded)));
    uint64_t bytes = 0;
    char before = between_;
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const absl::Span<const absl::string_view> values, group->Values());
      if (values.empty()) break;
      for (const absl::string_view value : values) {
        KVARTS_RETURN_IF_ERROR(text.Put(before));
        before = options_.separator;
        const absl::string_view shown =
            Encoded(value, absl::string_view(&options_.separator, 1), &encoded);
        KVARTS_RETURN_IF_ERROR(text.Put(shown));
        bytes += shown.size() + 1;
      }
      if (data && bytes > kMaxDataValueBytes) {
        return absl::InvalidArgumentError(
            absl::StrCat("the values of the key ", ShowKey(group->key()), " have more than ",
                         kMaxDataValueBytes, " bytes together, which no store takes"));
      }
    }
    KVARTS_RETURN_IF_ERROR(text.Put('\n'));
    return text.Flush();
  }

 private:
  absl::string_view Encoded(absl::string_view bytes, absl::string_view others,
                            std::string* encoded) const {
    if (options_.encoding == Encoding::kNone) return bytes;
    encoded->clear();
    if (options_.encoding == Encoding::kBase64) {
      absl::Base64Escape(bytes, encoded);
    } else {
      AppendEscaped(bytes, others, encoded);
    }
    return *encoded;
  }

  const RenderOptions options_;
  const char between_;
};

// {"key":KEY,"values":[VALUE,...]}
class JsonRender {
 public:
  explicit JsonRender(const RenderOptions& options) : options_(options) {}

  absl::Status operator()(Groups::Cursor* group, Groups::Output* output) const {
    TextBuffer text(output);
    std::string scratch;
    KVARTS_RETURN_IF_ERROR(text.Put("{\"key\":"));
    absl::string_view key = group->key();
    if (options_.json_text && !key.empty() && key.back() == '\xFF') {
      key.remove_suffix(1);
      KVARTS_RETURN_IF_ERROR(text.Put(key));
    } else {
      KVARTS_RETURN_IF_ERROR(PutString(key, key, &scratch, &text));
    }
    KVARTS_RETURN_IF_ERROR(text.Put(",\"values\":["));
    bool first = true;
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const absl::Span<const absl::string_view> values, group->Values());
      if (values.empty()) break;
      for (const absl::string_view value : values) {
        if (!std::exchange(first, false)) KVARTS_RETURN_IF_ERROR(text.Put(','));
        KVARTS_RETURN_IF_ERROR(
            options_.json_text ? text.Put(value) : PutString(value, group->key(), &scratch, &text));
      }
    }
    KVARTS_RETURN_IF_ERROR(text.Put("]}\n"));
    return text.Flush();
  }

 private:
  absl::Status PutString(absl::string_view bytes, absl::string_view key, std::string* scratch,
                         TextBuffer* text) const {
    std::string encoded;
    if (options_.encoding == Encoding::kBase64) {
      absl::Base64Escape(bytes, &encoded);
      bytes = encoded;
    } else if (options_.encoding == Encoding::kEscape) {
      AppendEscapedUtf8(bytes, &encoded);
      bytes = encoded;
    }
    scratch->assign(1, '"');
    if (!AppendJsonString(bytes, scratch)) {
      return absl::InvalidArgumentError(absl::StrCat(
          bytes.data() == key.data() ? "the key " : "a value of the key ", ShowKey(key),
          " is not valid UTF-8, which JSON cannot hold; --encoding can"));
    }
    scratch->push_back('"');
    return text->Put(*scratch);
  }

  const RenderOptions options_;
};

}  // namespace

OutputLimits LimitsOf(const RenderOptions& options) {
  OutputLimits limits;
  limits.empty_key = options.format != OutputFormat::kData;
  if (options.encoding != Encoding::kNone || options.format == OutputFormat::kNdjson) {
    return limits;
  }
  limits.key_bytes = options.format == OutputFormat::kData ? " \n" : "\t\n";
  limits.value_bytes = options.format == OutputFormat::kData ? "\n" : "\t\n";
  if (limits.value_bytes.find(options.separator) == std::string::npos) {
    limits.value_bytes.push_back(options.separator);
  }
  return limits;
}

Groups::Render NewListRender(const RenderOptions& options) {
  if (options.format == OutputFormat::kNdjson) return JsonRender(options);
  return LinesRender(options);
}

}  // namespace kvarts::groupby_text
