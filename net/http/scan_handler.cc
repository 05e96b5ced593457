#include <algorithm>
#include <limits>
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
#include "net/http/routes.h"

namespace kvarts {
namespace {

constexpr size_t kPartBytes = 64 << 10;
constexpr size_t kDefaultLimit = 100;
constexpr size_t kMaxLimit = 10'000;
constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr size_t kSumBytes = 8;
constexpr char kNdjson[] = "application/x-ndjson";

// A scan as the query has it.
struct Scan {
  ScanOptions options;
  size_t limit = kDefaultLimit;
  size_t max_bytes = kNoLimit;  // of keys and values
  bool etags = false;
  bool base64 = false;  // keys and values, whatever they are
  bool lines = false;   // an entry a line and nothing else, rather than a page
  uint64_t sum = 0;     // of all that a cursor must come back with
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

// The keys of prefix, start and end, gt and lte: what all of them leave.
absl::StatusOr<KeyRange> ReadRange(const HttpCall& call) {
  std::string prefix;
  KeyRange range;
  KVARTS_RETURN_IF_ERROR(ReadBytes(call, "prefix", &prefix));
  KVARTS_RETURN_IF_ERROR(ReadBytes(call, "start", &range.begin));
  KVARTS_RETURN_IF_ERROR(ReadBytes(call, "end", &range.end));
  range = Intersect(KeyRange::Prefix(prefix), range);
  // No key is between one and itself with a zero behind it.
  KeyRange inner;
  KVARTS_RETURN_IF_ERROR(ReadBytes(call, "gt", &inner.begin));
  KVARTS_RETURN_IF_ERROR(ReadBytes(call, "lte", &inner.end));
  if (call.Query("gt") != nullptr) inner.begin += '\0';
  if (call.Query("lte") != nullptr) inner.end += '\0';
  return Intersect(range, inner);
}

absl::Status ReadNumber(const HttpCall& call, const char* name, size_t most, size_t* number) {
  const std::string* const text = call.Query(name);
  if (text == nullptr) return absl::OkStatus();
  if (absl::SimpleAtoi(*text, number) && *number > 0 && *number <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": expected a number from 1",
                   most == kNoLimit ? std::string(" on") : absl::StrCat(" to ", most)));
}

absl::StatusOr<Scan> ReadScan(const HttpCall& call) {
  Scan scan;
  KVARTS_ASSIGN_OR_RETURN(scan.options.range, ReadRange(call));
  KVARTS_RETURN_IF_ERROR(ReadFlag(call, "keys_only", &scan.options.keys_only));
  KVARTS_RETURN_IF_ERROR(ReadFlag(call, "backward", &scan.options.backward));
  KVARTS_RETURN_IF_ERROR(ReadFlag(call, "etags", &scan.etags));
  KVARTS_RETURN_IF_ERROR(ReadBytesForm(call, &scan.base64));
  if (scan.etags && scan.options.keys_only) {
    return absl::InvalidArgumentError("etags: they are of values, and keys_only has none");
  }
  if (const std::string* const format = call.Query("format"); format != nullptr) {
    scan.lines = *format == "ndjson";
    if (!scan.lines && *format != "json") {
      return absl::InvalidArgumentError("format: expected json or ndjson");
    }
  }
  if (scan.lines) scan.limit = kNoLimit;
  KVARTS_RETURN_IF_ERROR(ReadNumber(call, "limit", scan.lines ? kNoLimit : kMaxLimit, &scan.limit));
  KVARTS_RETURN_IF_ERROR(ReadNumber(call, "max_bytes", kNoLimit, &scan.max_bytes));
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
      : scan_(std::move(scan)),
        left_(scan_.limit),
        bytes_left_(scan_.max_bytes),
        cursor_(std::move(cursor)) {}

  // The next page, where there is something left to give; an empty one is the end.
  absl::Status Turn() {
    next_ = 0;
    PageLimits limits;
    limits.entries = std::min<size_t>(left_, 256);
    limits.bytes = std::min(bytes_left_, kPartBytes);
    KVARTS_RETURN_IF_ERROR(cursor_->Next(limits, &page_));
    for (const ScanEntry& entry : page_) {
      bytes_left_ -= std::min(bytes_left_, entry.key.size() + entry.value.size());
    }
    return absl::OkStatus();
  }

  absl::Status Next(std::string* out, bool* more) override {
    if (!begun_ && !scan_.lines) out->append("{\"entries\":[");
    while (out->size() < kPartBytes) {
      if (writing_) {
        if (!writer_.Append(kPartBytes, out)) return Checked();
        writing_ = false;
        EndEntry(out);
      } else if (next_ < page_.size()) {
        Begin(page_[next_], out);
        ++next_;
        --left_;
      } else {
        KVARTS_RETURN_IF_ERROR(Checked());
        if (page_.empty() || left_ == 0 || bytes_left_ == 0) {
          if (!scan_.lines) End(absl::OkStatus(), out);
          *more = false;
          return absl::OkStatus();
        }
        if (const absl::Status status = Turn(); !status.ok()) {
          // Lines have no place for it: the answer breaks off, as no whole one does.
          if (scan_.lines) return status;
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
    if (!scan_.lines) out->append(begun_ ? ",\n" : "\n");
    out->append("{\"key\":");
    begun_ = true;
    AppendJsonBytes(entry.key, out, scan_.base64);
    if (!entry.content_type.empty()) {
      absl::StrAppend(out, ",\"content_type\":", JsonQuote(entry.content_type));
    }
    if (entry.expires_at_ms != 0) absl::StrAppend(out, ",\"expires_at_ms\":", entry.expires_at_ms);
    if (scan_.options.keys_only) return EndEntry(out);
    if (scan_.etags) absl::StrAppend(out, ",\"etag\":", JsonQuote(ValueEtag(entry.value)));
    out->append(",\"value\":");
    writer_.Start(entry.value, scan_.base64);
    writing_ = true;
  }
  void EndEntry(std::string* out) const { out->append(scan_.lines ? "}\n" : "}"); }

  // An error in the middle: what was given is good, and the cursor goes on there.
  void End(const absl::Status& status, std::string* out) {
    const bool ended = status.ok() && page_.empty();
    const std::string cursor = ended ? "null" : JsonQuote(CursorText(scan_, cursor_->position()));
    absl::StrAppend(out, "],\"cursor\":", cursor);
    if (!status.ok()) {
      absl::StrAppend(out, ",\"error\":", JsonQuote(status.message()), ",\"code\":\"",
                      StoreErrorCode(status), "\"");
    }
    out->append("}\n");
  }

  const Scan scan_;
  size_t left_;
  size_t bytes_left_;
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
  if (text == nullptr) return absl::OkStatus();
  *flag = *text == "true";
  if (*flag || *text == "false") return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, ": expected true or false"));
}

absl::Status ReadBytesForm(const HttpCall& call, bool* base64) {
  const std::string* const text = call.Query("bytes");
  if (text == nullptr) return absl::OkStatus();
  *base64 = *text == "base64";
  if (*base64 || *text == "auto") return absl::OkStatus();
  return absl::InvalidArgumentError("bytes: expected auto or base64");
}

void ScanKeys(const HttpContext& context, HttpCall* call) {
  absl::StatusOr<Scan> scan = ReadScan(*call);
  if (!scan.ok()) return SetHttpError(400, scan.status().message(), &call->response);
  if (!ReadSnapshot(context, call, &scan->options.snapshot)) return;
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = context.store->NewCursor(scan->options);
  if (!cursor.ok()) {
    call->response = StoreError(cursor.status());
    return;
  }
  const char* const type = scan->lines ? kNdjson : "application/json";
  auto source = std::make_unique<ScanSource>(*std::move(scan), *std::move(cursor));
  // The first page before the status line: its error is the request's.
  if (const absl::Status status = source->Turn(); !status.ok()) {
    call->response = StoreError(status);
    return;
  }
  AnswerFrom(std::move(source), call, type);
}

void DeleteKeys(const HttpContext& context, HttpCall* call) {
  // All keys are an empty prefix, said in so many words.
  const auto is_given = [&](const char* name) { return call->Query(name) != nullptr; };
  if (!is_given("prefix") && !is_given("start") && !is_given("gt")) {
    return SetHttpError(400, "which keys? prefix=, start= or gt= says; with an empty prefix all",
                        &call->response);
  }
  const absl::StatusOr<KeyRange> range = ReadRange(*call);
  if (!range.ok()) return SetHttpError(400, range.status().message(), &call->response);
  call->response.status = 204;
  if (range->empty()) return;
  WriteBatch batch;
  batch.DeleteRange(range->begin, range->end);
  if (const absl::Status status = context.store->Write(batch, {}, nullptr); !status.ok()) {
    call->response = StoreError(status);
  }
}

void ScanKeysOfForm(const HttpContext& context, HttpCall* call) {
  const absl::Status read = AddQuery(*context.route, call->request.body, "the body", &call->query);
  if (!read.ok()) return SetHttpError(400, read.message(), &call->response);
  ScanKeys(context, call);
}

}  // namespace kvarts
