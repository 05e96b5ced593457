#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/http/batch_request.h"
#include "net/http/handlers.h"
#include "net/http/json.h"
#include "net/http/read_pace.h"

namespace kvarts {
namespace {

constexpr size_t kPartBytes = 64 << 10;

class BatchSource final : public HttpBodySource {
 public:
  struct Shape {
    bool values = true;
    bool etags = false;
    bool base64 = false;  // of keys and values, whatever they are
    std::shared_ptr<const Snapshot> snapshot = nullptr;
  };

  BatchSource(Store* store, std::vector<std::string> keys, const Shape& shape)
      : store_(store), keys_(std::move(keys)), shape_(shape) {}

  absl::Status Next(std::string* out, bool* more) override {
    if (!begun_) out->append("{\"results\":[");
    begun_ = true;
    while (out->size() < kPartBytes) {
      if (writing_) {
        if (!writer_.Append(kPartBytes, out)) return Checked();
        writing_ = false;
        out->append("}");
      } else if (next_ == keys_.size()) {
        out->append("]}\n");
        *more = false;
        return Checked();
      } else {
        if (next_ == first_ + read_) {
          if (absl::Status status = Checked(); !status.ok()) return status;
          ReadMore();
        }
        Begin(results_[next_ - first_], out);
        ++next_;
      }
    }
    return Checked();
  }

 private:
  // What was written so far came from bytes that are still good.
  absl::Status Checked() const {
    return results_.intact() ? absl::OkStatus()
                             : absl::DataLossError("a value was lost while it was read");
  }

  // In one call where the store shows all of an atomic batch to a call or nothing of it:
  // several would show the client half. Elsewhere some at a time.
  void ReadMore() {
    first_ = next_;
    const bool whole = store_->capabilities().atomic_multi_get;
    read_ = std::min(whole ? keys_.size() : pace_.keys(), keys_.size() - first_);
    const std::vector<absl::string_view> keys(
        keys_.begin() + static_cast<ptrdiff_t>(first_),
        keys_.begin() + static_cast<ptrdiff_t>(first_ + read_));
    ReadOptions options;
    options.value = shape_.values || shape_.etags;
    options.snapshot = shape_.snapshot;
    store_->MultiGet(keys, options, &results_);
    pace_.Learn(results_);
  }

  void Begin(const ReadResult& result, std::string* out) {
    out->append(next_ == 0 ? "\n{\"key\":" : ",\n{\"key\":");
    AppendJsonBytes(keys_[next_], out, shape_.base64);
    if (!result.status.ok()) {
      absl::StrAppend(out, ",\"error\":", JsonQuote(StoreErrorText(result.status)), ",\"code\":\"",
                      StoreErrorCode(result.status), "\"}");
    } else if (!result.found) {
      ++misses;
      out->append(",\"found\":false}");
    } else {
      ++hits;
      out->append(",\"found\":true");
      if (!result.content_type.empty()) {
        absl::StrAppend(out, ",\"content_type\":", JsonQuote(result.content_type));
      }
      if (result.expires_at_ms != 0) {
        absl::StrAppend(out, ",\"expires_at_ms\":", result.expires_at_ms);
      }
      if (shape_.etags) absl::StrAppend(out, ",\"etag\":", JsonQuote(ValueEtag(result.value)));
      if (!shape_.values) {
        out->append("}");
        return;
      }
      out->append(",\"value\":");
      writer_.Start(result.value, shape_.base64);
      writing_ = true;
    }
  }

  Store* const store_;
  const std::vector<std::string> keys_;
  const Shape shape_;
  bool begun_ = false;
  size_t next_ = 0;              // key to be written
  size_t first_ = 0, read_ = 0;  // those in results_
  ReadPace pace_;
  ReadResults results_;
  JsonBytesWriter writer_;
  bool writing_ = false;  // the value of the key before next_
};

}  // namespace

void AnswerFrom(std::unique_ptr<HttpBodySource> source, HttpCall* call,
                absl::string_view content_type) {
  call->response.content_type = std::string(content_type);
  bool more = true;
  const absl::Status status = source->Next(&call->response.body, &more);
  if (!status.ok()) {
    call->response = StoreError(status);
    return;
  }
  if (more) {
    call->response.source = std::move(source);
  } else {
    call->hits += source->hits;
    call->misses += source->misses;
  }
}

void GetBatch(const HttpContext& context, HttpCall* call) {
  BatchSource::Shape shape;
  absl::Status read = ReadFlag(*call, "values", &shape.values);
  read.Update(ReadFlag(*call, "etags", &shape.etags));
  read.Update(ReadBytesForm(*call, &shape.base64));
  if (!read.ok()) return SetHttpError(400, read.message(), &call->response);
  absl::StatusOr<std::vector<std::string>> keys = ParseBatchKeys(call->request.body);
  if (!keys.ok()) return SetHttpError(400, keys.status().message(), &call->response);
  if (!ReadSnapshot(context, call, &shape.snapshot)) return;
  call->request.body = std::string();  // lets go of its memory
  AnswerFrom(std::make_unique<BatchSource>(context.store, *std::move(keys), shape), call);
}

}  // namespace kvarts
