#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "groupby/text/encoding.h"
#include "groupby/text/json_text.h"
#include "groupby/text/row_limits.h"
#include "groupby/text/writers.h"

namespace kvarts::groupby_text {
namespace {

class JsonWriter final : public GroupWriter {
 public:
  JsonWriter(const WriterOptions& options, const std::vector<AggregateSpec>& aggregates)
      : options_(options), aggregates_(aggregates) {
    for (size_t i = 0; i < aggregates.size(); ++i) {
      std::string name = ",\"";
      AppendJsonString(aggregates[i].label, &name);
      names_.push_back(name + "\":");
    }
  }

  absl::Status Begin(absl::string_view key, TextBuffer* text) const override {
    KVARTS_RETURN_IF_ERROR(text->Put("{\"key\":"));
    if (options_.json_text && !key.empty() && key.back() == '\xFF') {
      KVARTS_RETURN_IF_ERROR(text->Put(key.substr(0, key.size() - 1)));
    } else {
      KVARTS_RETURN_IF_ERROR(PutString("the key ", key, key, text));
    }
    return options_.list ? text->Put(",\"values\":[") : absl::OkStatus();
  }

  absl::Status Value(absl::string_view key, absl::string_view value, bool first,
                     TextBuffer* text) const override {
    if (!first) KVARTS_RETURN_IF_ERROR(text->Put(','));
    if (options_.json_text) return text->Put(value);
    return PutString("a value of the key ", key, value, text);
  }

  absl::Status End(absl::string_view key, absl::Span<const absl::string_view> results,
                   TextBuffer* text) const override {
    if (options_.list) KVARTS_RETURN_IF_ERROR(text->Put(']'));
    for (size_t i = 0; i < results.size(); ++i) {
      KVARTS_RETURN_IF_ERROR(text->Put(names_[i]));
      KVARTS_RETURN_IF_ERROR(PutResult(key, aggregates_[i], results[i], text));
    }
    return text->Put("}\n");
  }

 private:
  absl::Status PutResult(absl::string_view key, const AggregateSpec& aggregate,
                         absl::string_view result, TextBuffer* text) const {
    switch (aggregate.function->result()) {
      case AggregateFunction::Result::kNumber:
        return text->Put(result.empty() ? "null" : result);
      case AggregateFunction::Result::kNumbers:
        KVARTS_RETURN_IF_ERROR(text->Put('['));
        KVARTS_RETURN_IF_ERROR(text->Put(result));
        return text->Put(']');
      case AggregateFunction::Result::kText:
        break;
    }
    return PutString(absl::StrCat(aggregate.label, " of the key "), key, result, text);
  }

  absl::Status PutString(absl::string_view what, absl::string_view key, absl::string_view bytes,
                         TextBuffer* text) const {
    std::string encoded;
    if (options_.encoding == Encoding::kBase64) {
      absl::Base64Escape(bytes, &encoded);
      bytes = encoded;
    } else if (options_.encoding == Encoding::kEscape) {
      AppendEscapedUtf8(bytes, &encoded);
      bytes = encoded;
    }
    KVARTS_RETURN_IF_ERROR(text->Put('"'));
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    const char* copied = at;
    while ((at = FindJsonSpecial(at, end)) < end) {
      if (static_cast<signed char>(*at) < 0) {
        const size_t size = Utf8Size(at, end);
        if (size == 0) {
          return absl::InvalidArgumentError(absl::StrCat(
              what, ShowKey(key), " is not valid UTF-8, which JSON cannot hold; --encoding can"));
        }
        at += size;
        continue;
      }
      KVARTS_RETURN_IF_ERROR(
          text->Put(absl::string_view(copied, static_cast<size_t>(at - copied))));
      char escape[6];
      KVARTS_RETURN_IF_ERROR(text->Put(JsonEscape(*at, escape)));
      copied = ++at;
    }
    KVARTS_RETURN_IF_ERROR(text->Put(absl::string_view(copied, static_cast<size_t>(end - copied))));
    return text->Put('"');
  }

  const WriterOptions options_;
  const std::vector<AggregateSpec> aggregates_;
  std::vector<std::string> names_;  // ,"LABEL":
};

}  // namespace

std::unique_ptr<GroupWriter> NewJsonWriter(const WriterOptions& options,
                                           const std::vector<AggregateSpec>& aggregates) {
  return std::make_unique<JsonWriter>(options, aggregates);
}

}  // namespace kvarts::groupby_text
