#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "groupby/text/encoding.h"
#include "groupby/text/row_limits.h"
#include "groupby/text/writers.h"

namespace kvarts::groupby_text {
namespace {

// What a store takes as a value.
constexpr uint64_t kMaxDataValueBytes = 64 << 20;

class LinesWriter final : public GroupWriter {
 public:
  LinesWriter(const WriterOptions& options, const std::vector<AggregateSpec>& aggregates)
      : options_(options),
        aggregates_(aggregates),
        plain_(options.encoding == Encoding::kNone),
        data_(options.format == OutputFormat::kData),
        behind_key_(data_ ? ' ' : '\t') {}

  absl::Status Begin(absl::string_view key, TextBuffer* text) const override {
    if (data_ && key.empty()) {
      return absl::InvalidArgumentError("an empty key, which a data file cannot hold");
    }
    if (plain_) return text->Put(key);
    return text->Put(Encoded(key, data_ ? " " : ""));
  }

  absl::Status Value(absl::string_view key, absl::string_view value, bool first,
                     TextBuffer* text) const override {
    KVARTS_RETURN_IF_ERROR(text->Put(first ? behind_key_ : options_.separator));
    KVARTS_RETURN_IF_ERROR(
        plain_ ? text->Put(value)
               : text->Put(Encoded(value, absl::string_view(&options_.separator, 1))));
    return data_ ? CheckSize(key, *text) : absl::OkStatus();
  }

  absl::Status End(absl::string_view key, absl::Span<const absl::string_view> results,
                   TextBuffer* text) const override {
    for (size_t i = 0; i < results.size(); ++i) {
      KVARTS_RETURN_IF_ERROR(text->Put(i == 0 && !options_.list ? behind_key_ : '\t'));
      KVARTS_RETURN_IF_ERROR(PutResult(key, aggregates_[i], results[i], text));
    }
    if (data_) KVARTS_RETURN_IF_ERROR(CheckSize(key, *text));
    return text->Put('\n');
  }

 private:
  absl::Status PutResult(absl::string_view key, const AggregateSpec& aggregate,
                         absl::string_view result, TextBuffer* text) const {
    switch (aggregate.function->result()) {
      case AggregateFunction::Result::kNumber:
        return text->Put(result);
      case AggregateFunction::Result::kNumbers:
        return text->Put(
            absl::StrReplaceAll(result, {{",", absl::string_view(&options_.separator, 1)}}));
      case AggregateFunction::Result::kText:
        break;
    }
    if (!plain_) return text->Put(Encoded(result, ""));
    const size_t wrong = result.find_first_of("\t\n");
    if (wrong == absl::string_view::npos) return text->Put(result);
    return absl::InvalidArgumentError(absl::StrCat(
        aggregate.label, " of the key ", ShowKey(key), " holds ", ByteName(result[wrong]),
        ", which the output cannot; --encoding or another --format can"));
  }

  absl::Status CheckSize(absl::string_view key, const TextBuffer& text) const {
    if (text.total() <= kMaxDataValueBytes) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("the values of the key ", ShowKey(key),
                                                   " have more than ", kMaxDataValueBytes,
                                                   " bytes together, which no store takes"));
  }

  std::string Encoded(absl::string_view bytes, absl::string_view others) const {
    std::string encoded;
    if (options_.encoding == Encoding::kBase64) {
      absl::Base64Escape(bytes, &encoded);
    } else {
      AppendEscaped(bytes, others, &encoded);
    }
    return encoded;
  }

  const WriterOptions options_;
  const std::vector<AggregateSpec> aggregates_;
  const bool plain_;
  const bool data_;
  const char behind_key_;
};

}  // namespace

std::unique_ptr<GroupWriter> NewLinesWriter(const WriterOptions& options,
                                            const std::vector<AggregateSpec>& aggregates) {
  return std::make_unique<LinesWriter>(options, aggregates);
}

}  // namespace kvarts::groupby_text
