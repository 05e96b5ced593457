#include "groupby/sorted/text_queue.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts::groupby_internal {
namespace {

absl::Status Stopped() { return absl::CancelledError("the reading of groups was ended"); }

}  // namespace

void TextQueue::Stop() {
  MutexLock lock(&mu_);
  stopped_ = true;
  changed_.SignalAll();
}

absl::StatusOr<char*> TextQueue::Put(size_t bytes) {
  MutexLock lock(&mu_);
  bytes_[put_++ % 2] = bytes;
  changed_.SignalAll();
  while (put_ - taken_ + (reads_ ? 1 : 0) == 2 && !stopped_) changed_.Wait(&mu_);
  if (stopped_) return Stopped();
  return room_ + put_ % 2 * batch_bytes_;
}

void TextQueue::End() {
  MutexLock lock(&mu_);
  ended_ = true;
  changed_.SignalAll();
}

absl::StatusOr<absl::string_view> TextQueue::Take() {
  MutexLock lock(&mu_);
  if (reads_) changed_.SignalAll();
  reads_ = false;
  while (put_ == taken_ && !ended_ && !stopped_) changed_.Wait(&mu_);
  if (stopped_) return Stopped();
  if (put_ == taken_) return absl::string_view();
  const size_t i = taken_++ % 2;
  reads_ = true;
  return absl::string_view(room_ + i * batch_bytes_, bytes_[i]);
}

void TextQueue::Writer::BeginEntry(absl::string_view key) {
  entry_ = size_;
  key_bytes_ = static_cast<uint32_t>(key.size());
  if (!key.empty()) std::memcpy(batch_ + size_ + kHeaderBytes, key.data(), key.size());
  size_ += kHeaderBytes + key.size();
}

void TextQueue::Writer::EndEntry(bool goes_on) {
  char* const header = batch_ + entry_;
  StoreLE32(header, key_bytes_);
  StoreLE32(header + 4, static_cast<uint32_t>(size_ - entry_ - kHeaderBytes - key_bytes_));
  header[8] = goes_on ? 1 : 0;
}

absl::Status TextQueue::Writer::Flush() {
  KVARTS_ASSIGN_OR_RETURN(batch_, queue_->Put(size_));
  size_ = 0;
  return absl::OkStatus();
}

absl::Status TextQueue::Writer::BeginGroup(absl::string_view key) {
  assert(EntryBytes(key.size()) <= queue_->batch_bytes_);
  if (EntryBytes(key.size()) > left()) KVARTS_RETURN_IF_ERROR(Flush());
  BeginEntry(key);
  return absl::OkStatus();
}

absl::Status TextQueue::Writer::Append(absl::string_view text) {
  for (;;) {
    const size_t n = std::min(text.size(), left());
    if (n > 0) std::memcpy(batch_ + size_, text.data(), n);
    size_ += n;
    text.remove_prefix(n);
    if (text.empty()) return absl::OkStatus();
    EndEntry(/*goes_on=*/true);
    KVARTS_RETURN_IF_ERROR(Flush());
    BeginEntry(absl::string_view());
  }
}

absl::Status TextQueue::Writer::Finish() {
  if (size_ > 0) KVARTS_RETURN_IF_ERROR(Flush());
  queue_->End();
  return absl::OkStatus();
}

absl::StatusOr<bool> TextQueue::Reader::Next() {
  if (batch_.empty()) {
    KVARTS_ASSIGN_OR_RETURN(batch_, queue_->Take());
    if (batch_.empty()) return false;
  }
  const size_t key_bytes = LoadLE32(batch_.data());
  const size_t text_bytes = LoadLE32(batch_.data() + 4);
  goes_on_ = batch_[8] != 0;
  key_ = batch_.substr(kHeaderBytes, key_bytes);
  text_ = batch_.substr(kHeaderBytes + key_bytes, text_bytes);
  batch_.remove_prefix(kHeaderBytes + key_bytes + text_bytes);
  return true;
}

}  // namespace kvarts::groupby_internal
