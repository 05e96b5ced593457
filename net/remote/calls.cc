#include "net/remote/calls.h"

#include "net/native/wire.h"

namespace kvarts {
namespace remote {
namespace {

// A payload below it is copied: to pin the buffer would keep 64 KiB for it.
constexpr size_t kPinFrom = 4 << 10;

absl::string_view Take(absl::string_view payload, native::FrameReader* reader, Bytes* bytes) {
  if (payload.size() < kPinFrom) return bytes->Copy(payload);
  bytes->AddPin(reader->pin());
  return payload;
}

// The content types of an answer, each copied once.
class Types {
 public:
  Types(const native::Response& response, Bytes* bytes) : reader_(response) {
    for (const std::string& type : response.content_types()) {
      copies_.push_back(bytes->Copy(absl::string_view(type.data(), type.size())));
    }
    types_ = &response;
  }
  absl::string_view operator[](size_t i) const {
    if (types_->content_type_of_size() == 0) return {};
    const uint32_t type = types_->content_type_of(static_cast<int>(i));
    return type == 0 ? absl::string_view() : copies_[type - 1];
  }
  const native::MetadataReader& reader() const { return reader_; }

 private:
  native::MetadataReader reader_;
  const native::Response* types_;
  std::vector<absl::string_view> copies_;
};

absl::Status Nonsense() {
  return absl::InternalError("the server's answer does not fit the question");
}

}  // namespace

absl::StatusOr<native::Response> HeaderCall::TakeResponse(const absl::Status& status) {
  if (!status.ok()) return status;
  if (response_.code() != 0) return native::MakeStatus(response_.code(), response_.message());
  return std::move(response_);
}

absl::Status GetCall::OnAnswer(const native::Response& response, absl::string_view payload,
                               native::FrameReader* reader) {
  if (response.code() != 0) {
    Fail(native::MakeStatus(response.code(), response.message()));
    return response.more() ? Nonsense() : absl::OkStatus();
  }
  const auto n = static_cast<size_t>(response.value_sizes_size());
  const Types types(response, &results_->bytes());
  if (absl::Status status = types.reader().Check(n); !status.ok()) return status;
  const bool whole = answered_ + n == places_.size();
  if (answered_ + n > places_.size() || whole == response.more() ||
      static_cast<size_t>(response.stamps_size()) != (stamps_ ? 2 * n : 0)) {
    return Nonsense();
  }
  absl::string_view left = Take(payload, reader, &results_->bytes());
  for (size_t i = 0; i < n; ++i) {
    ReadResult& result = results_->mutable_result(places_[answered_ + i]);
    const uint32_t size = response.value_sizes(static_cast<int>(i));
    result.found = size != 0;
    if (size > 1) {
      if (size - 1 > left.size()) return Nonsense();
      result.value = left.substr(0, size - 1);
      left.remove_prefix(size - 1);
    }
    if (stamps_) {
      result.stamp = {response.stamps(static_cast<int>(2 * i)),
                      response.stamps(static_cast<int>(2 * i + 1))};
    }
    result.expires_at_ms = types.reader().expires_at_ms(i);
    result.content_type = types[i];
  }
  for (const native::ItemError& error : response.errors()) {
    if (error.index() >= n) return Nonsense();
    results_->mutable_result(places_[answered_ + error.index()]).status =
        native::MakeStatus(error.code(), error.message());
    has_errors_ = true;
  }
  if (!left.empty()) return Nonsense();
  answered_ += n;
  return absl::OkStatus();
}

void GetCall::OnRetry() {
  answered_ = 0;
  has_errors_ = false;
  for (const uint32_t place : places_) results_->mutable_result(place) = ReadResult();
}

void GetCall::Fail(const absl::Status& status) {
  has_errors_ = true;
  for (const uint32_t place : places_) results_->mutable_result(place).status = Unshared(status);
}

void GetCall::OnDone(const absl::Status& status) {
  if (!status.ok()) {
    OnRetry();
    Fail(status);
  }
  outcome_ = status;
  WaitingCall::OnDone(status);
}

absl::Status WriteCall::OnAnswer(const native::Response& response, absl::string_view,
                                 native::FrameReader*) {
  answer_ = native::MakeStatus(response.code(), response.message());
  const bool all_failed = !response.has_write() || response.write().all_failed();
  const auto existed = static_cast<size_t>(response.write().existed_size());
  if (response.more() || (all_failed && answer_.ok() && !places_.empty()) ||
      (existed != 0 && existed != places_.size())) {
    return Nonsense();
  }
  for (size_t i = 0; i < places_.size(); ++i) {
    WriteResult& result = results_->results[places_[i]];
    if (all_failed) result.status = Unshared(answer_);
    if (existed != 0) result.existed = response.write().existed(static_cast<int>(i));
  }
  for (const native::ItemError& error : response.errors()) {
    if (error.index() >= places_.size()) return Nonsense();
    results_->results[places_[error.index()]].status =
        native::MakeStatus(error.code(), error.message());
  }
  results_->failed_precondition = static_cast<int>(response.write().failed_precondition()) - 1;
  return absl::OkStatus();
}

void WriteCall::OnDone(const absl::Status& status) {
  if (!status.ok()) {
    for (const uint32_t place : places_) results_->results[place] = {Unshared(status), false};
  }
  was_answered_ = status.ok();
  if (!was_answered_) answer_ = status;
  WaitingCall::OnDone(answer_);
}

absl::Status ScanCall::OnAnswer(const native::Response& response, absl::string_view payload,
                                native::FrameReader* reader) {
  status_ = native::MakeStatus(response.code(), response.message());
  const auto sizes = static_cast<size_t>(response.entry_sizes_size());
  if (response.more() || sizes % 2 != 0) return Nonsense();
  const Types types(response, &page_->bytes());
  if (absl::Status status = types.reader().Check(sizes / 2); !status.ok()) return status;
  absl::string_view left = Take(payload, reader, &page_->bytes());
  for (size_t i = 0; i < sizes; i += 2) {
    const size_t key = response.entry_sizes(static_cast<int>(i));
    const size_t value = response.entry_sizes(static_cast<int>(i + 1));
    if (key > left.size() || value > left.size() - key) {
      page_->Reset();
      return Nonsense();
    }
    page_->Add({left.substr(0, key), left.substr(key, value), types[i / 2],
                types.reader().expires_at_ms(i / 2)});
    left.remove_prefix(key + value);
  }
  position_ = response.position();
  return absl::OkStatus();
}

}  // namespace remote
}  // namespace kvarts
