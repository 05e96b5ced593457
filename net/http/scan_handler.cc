#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "net/http/handlers.h"
#include "net/http/json.h"

namespace kvarts {
namespace {

constexpr size_t kPartBytes = 64 << 10;
constexpr size_t kDefaultLimit = 100;
constexpr size_t kMaxLimit = 10'000;
constexpr size_t kSumBytes = 8;

// A scan as the query has it.
struct Scan {
  ScanOptions options;
  size_t limit = kDefaultLimit;
  uint64_t sum = 0;  // of all that a cursor must come back with
};

// --- Cursors -----------------------------------------------------------------
// The store's position behind a checksum of it and of the scan it belongs to, in
// base64 for URLs: a cursor that was cut, or given to another scan, is told.

std::string CursorText(const Scan& scan, absl::string_view position) {
  std::string bytes;
  AppendLE64(&bytes, Checksum(position, scan.sum));
  absl::StrAppend(&bytes, position);
  return absl::WebSafeBase64Escape(bytes);
}

absl::StatusOr<std::string> CursorPosition(const Scan& scan, absl::string_view text) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(text, &bytes) || bytes.size() < kSumBytes) {
    return absl::InvalidArgumentError("cursor: not one that this server gave");
  }
  const absl::string_view position = absl::string_view(bytes).substr(kSumBytes);
  if (LoadLE64(bytes.data()) != Checksum(position, scan.sum)) {
    return absl::InvalidArgumentError(
        "cursor: not of a scan with this prefix, start, end, order and content");
  }
  return std::string(position);
}

// --- The query ---------------------------------------------------------------

absl::Status ReadBytes(const HttpCall& call, const char* name, std::string* bytes) {
  const std::string* const text = call.Query(name);
  if (text == nullptr) return absl::OkStatus();
  const std::string* const encoding = call.Query("key_encoding");
  if (encoding == nullptr || *encoding != "base64") {
    *bytes = *text;
  } else if (!DecodeBase64(*text, bytes)) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, ": not base64, as key_encoding says; in a query a plus is %2B, or - instead"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Scan> ReadScan(const HttpCall& call) {
  Scan scan;
  std::string prefix;
  KeyRange range;
  KVARTS_RETURN_IF_ERROR(ReadBytes(call, "prefix", &prefix));
  KVARTS_RETURN_IF_ERROR(ReadBytes(call, "start", &range.begin));
  KVARTS_RETURN_IF_ERROR(ReadBytes(call, "end", &range.end));
  scan.options.range = Intersect(KeyRange::Prefix(prefix), range);
  KVARTS_RETURN_IF_ERROR(ReadFlag(call, "keys_only", &scan.options.keys_only));
  KVARTS_RETURN_IF_ERROR(ReadFlag(call, "backward", &scan.options.backward));
  if (const std::string* const limit = call.Query("limit"); limit != nullptr) {
    if (!absl::SimpleAtoi(*limit, &scan.limit) || scan.limit == 0 || scan.limit > kMaxLimit) {
      return absl::InvalidArgumentError(
          absl::StrCat("limit: expected a number from 1 to ", kMaxLimit));
    }
  }
  const KeyRange& keys = scan.options.range;
  const std::string shape =
      absl::StrCat(scan.options.backward ? "b" : "f", scan.options.keys_only ? "k" : "v",
                   keys.begin.size(), ":", keys.begin, keys.end);
  scan.sum = Checksum(shape);
  if (const std::string* const cursor = call.Query("cursor"); cursor != nullptr) {
    KVARTS_ASSIGN_OR_RETURN(scan.options.resume_after, CursorPosition(scan, *cursor));
  }
  return scan;
}

// --- The answer --------------------------------------------------------------

class ScanSource final : public HttpBodySource {
 public:
  // Stands at the beginning of its first page.
  ScanSource(Scan scan, std::unique_ptr<Cursor> cursor)
      : scan_(std::move(scan)), left_(scan_.limit), cursor_(std::move(cursor)) {}

  // The next page, where there are entries left to give; an empty one is the end.
  absl::Status Turn() {
    next_ = 0;
    PageLimits limits;
    limits.entries = std::min<size_t>(left_, 256);
    limits.bytes = kPartBytes;
    return cursor_->Next(limits, &page_);
  }

  absl::Status Next(std::string* out, bool* more) override {
    if (!begun_) out->append("{\"entries\":[");
    while (out->size() < kPartBytes) {
      if (writing_) {
        if (!writer_.Append(kPartBytes, out)) return Checked();
        writing_ = false;
        out->append("}");
      } else if (next_ < page_.size()) {
        Begin(page_[next_], out);
        ++next_;
        --left_;
      } else {
        KVARTS_RETURN_IF_ERROR(Checked());
        if (page_.empty() || left_ == 0) {
          End(absl::OkStatus(), out);
          *more = false;
          return absl::OkStatus();
        }
        if (const absl::Status status = Turn(); !status.ok()) {
          End(status, out);
          *more = false;
          return absl::OkStatus();
        }
      }
    }
    return Checked();
  }

 private:
  absl::Status Checked() const {
    return page_.intact() ? absl::OkStatus()
                          : absl::DataLossError("a value was lost while it was read");
  }

  void Begin(const ScanEntry& entry, std::string* out) {
    out->append(begun_ ? ",\n{\"key\":" : "\n{\"key\":");
    begun_ = true;
    AppendJsonBytes(entry.key, out);
    if (!entry.content_type.empty()) {
      absl::StrAppend(out, ",\"content_type\":", JsonQuote(entry.content_type));
    }
    if (entry.expires_at_ms != 0) absl::StrAppend(out, ",\"expires_at_ms\":", entry.expires_at_ms);
    if (scan_.options.keys_only) {
      out->append("}");
      return;
    }
    out->append(",\"value\":");
    writer_.Start(entry.value);
    writing_ = true;
  }

  // An error in the middle: what was given is good, and the cursor goes on there.
  void End(const absl::Status& status, std::string* out) {
    const bool ended = status.ok() && page_.empty();
    const std::string cursor = ended ? "null" : JsonQuote(CursorText(scan_, cursor_->position()));
    absl::StrAppend(out, "],\"cursor\":", cursor);
    if (!status.ok()) absl::StrAppend(out, ",\"error\":", JsonQuote(status.message()));
    out->append("}\n");
  }

  const Scan scan_;
  size_t left_;
  const std::unique_ptr<Cursor> cursor_;
  ScanPage page_;
  size_t next_ = 0;  // of page_
  bool begun_ = false;
  JsonBytesWriter writer_;
  bool writing_ = false;  // the value of the entry before next_
};

}  // namespace

absl::Status ReadFlag(const HttpCall& call, const char* name, bool* flag) {
  const std::string* const text = call.Query(name);
  if (text == nullptr || *text == "false") return absl::OkStatus();
  *flag = true;
  if (*text == "true") return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, ": expected true or false"));
}

void ScanKeys(const HttpContext& context, HttpCall* call) {
  absl::StatusOr<Scan> scan = ReadScan(*call);
  if (!scan.ok()) return SetHttpError(400, scan.status().message(), &call->response);
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = context.store->NewCursor(scan->options);
  if (!cursor.ok()) {
    call->response = StoreError(cursor.status());
    return;
  }
  auto source = std::make_unique<ScanSource>(*std::move(scan), *std::move(cursor));
  // The first page before the status line: its error is the request's.
  if (const absl::Status status = source->Turn(); !status.ok()) {
    call->response = StoreError(status);
    return;
  }
  AnswerFrom(std::move(source), call);
}

}  // namespace kvarts
