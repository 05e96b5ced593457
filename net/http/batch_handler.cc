#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/http/batch_request.h"
#include "net/http/handlers.h"
#include "net/http/json.h"

namespace kvarts {
namespace {

constexpr size_t kPartBytes = 64 << 10;
// Keys that go to the store in one call, fewer where values are large: what a
// store that copies holds for a request stays bounded.
constexpr size_t kKeysAtOnce = 64;
constexpr size_t kFewBytes = 1 << 20;
constexpr size_t kManyBytes = 4 << 20;

class BatchSource final : public HttpBodySource {
 public:
  BatchSource(Store* store, std::vector<std::string> keys)
      : store_(store), keys_(std::move(keys)) {}

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

  void ReadMore() {
    first_ = next_;
    read_ = std::min(at_once_, keys_.size() - first_);
    const std::vector<absl::string_view> keys(
        keys_.begin() + static_cast<ptrdiff_t>(first_),
        keys_.begin() + static_cast<ptrdiff_t>(first_ + read_));
    store_->MultiGet(keys, ReadOptions(), &results_);
    size_t bytes = 0;
    for (const ReadResult& result : results_) bytes += result.value.size();
    if (bytes > kManyBytes) at_once_ = std::max<size_t>(at_once_ / 8, 1);
    if (bytes < kFewBytes) at_once_ = std::min(at_once_ * 2, kKeysAtOnce);
  }

  void Begin(const ReadResult& result, std::string* out) {
    out->append(next_ == 0 ? "\n{\"key\":" : ",\n{\"key\":");
    AppendJsonBytes(keys_[next_], out);
    if (!result.status.ok()) {
      absl::StrAppend(out, ",\"error\":", JsonQuote(result.status.message()), "}");
    } else if (!result.found) {
      ++misses;
      out->append(",\"found\":false}");
    } else {
      ++hits;
      out->append(",\"found\":true");
      if (!result.content_type.empty()) {
        absl::StrAppend(out, ",\"content_type\":", JsonQuote(result.content_type));
      }
      out->append(",\"value\":");
      writer_.Start(result.value);
      writing_ = true;
    }
  }

  Store* const store_;
  const std::vector<std::string> keys_;
  bool begun_ = false;
  size_t next_ = 0;              // key to be written
  size_t first_ = 0, read_ = 0;  // those in results_
  size_t at_once_ = kKeysAtOnce;
  ReadResults results_;
  JsonBytesWriter writer_;
  bool writing_ = false;  // the value of the key before next_
};

}  // namespace

void AnswerFrom(std::unique_ptr<HttpBodySource> source, HttpCall* call) {
  call->response.content_type = "application/json";
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
  absl::StatusOr<std::vector<std::string>> keys = ParseBatchKeys(call->request.body);
  if (!keys.ok()) return SetHttpError(400, keys.status().message(), &call->response);
  call->request.body = std::string();  // lets go of its memory
  AnswerFrom(std::make_unique<BatchSource>(context.store, *std::move(keys)), call);
}

}  // namespace kvarts
