#include "groupby/text/chunk_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/text_start.h"

namespace kvarts::groupby_text {
void Turn::Take() {
  MutexLock lock(&mu_);
  while (taken_) given_.Wait(&mu_);
  taken_ = true;
}

void Turn::Give() {
  MutexLock lock(&mu_);
  taken_ = false;
  given_.SignalAll();
}

void Chunk::GiveTurn() {
  if (account != nullptr) account->Release(account->used());
  account.reset();
  if (turn != nullptr) turn->Give();
  turn = nullptr;
}

ChunkReader::ChunkReader(std::unique_ptr<ByteSource> source, const ChunkOptions& options)
    : options_(options),
      size_(source->size()),
      source_(std::move(source)),
      ends_(options.quotes, options.delimiter) {}

absl::Status ChunkReader::ReadTo(char* to, size_t* have, size_t want) {
  while (*have < want && !at_end_) {
    KVARTS_ASSIGN_OR_RETURN(const size_t n, source_->Read(to + *have, want - *have));
    *have += n;
    at_end_ = n == 0;
    if (!begun_ && (at_end_ || *have >= kByteOrderMarkBytes)) {
      begun_ = true;
      const size_t mark = ByteOrderMarkBytes(absl::string_view(to, *have));
      *have -= mark;
      std::memmove(to, to + mark, *have);
      ends_.Reset();  // of small chunks it has seen some of the mark
    }
  }
  position_.store(source_->position(), std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status ChunkReader::Grow(Chunk* chunk, size_t bytes) {
  if (chunk->turn == nullptr) {
    // Who has it comes to give it back without the lock.
    long_row_.Take();
    chunk->turn = &long_row_;
    if (options_.budget != nullptr) {
      chunk->account = options_.budget->Open([](size_t) -> size_t { return 0; });
    }
  }
  if (chunk->account != nullptr) {
    KVARTS_RETURN_IF_ERROR(chunk->account->Reserve(bytes - chunk->buffer.size()));
  }
  return chunk->buffer.Resize(bytes);
}

absl::StatusOr<std::string> ChunkReader::TakeHeader() {
  MutexLock lock(&mu_);
  size_t want = options_.chunk_bytes;
  while (true) {
    if (rest_.size() < want) KVARTS_RETURN_IF_ERROR(rest_.Resize(want));
    KVARTS_RETURN_IF_ERROR(ReadTo(rest_.data(), &rest_size_, want));
    const size_t end = ends_.First(rest_.data(), rest_size_);
    if (end == 0 && !at_end_) {
      if (want >= options_.max_row_bytes / 16) {
        return absl::InvalidArgumentError("line 1: the header is longer than 4 MiB");
      }
      want += options_.chunk_bytes;
      continue;
    }
    const size_t size = end == 0 ? rest_size_ : end;
    std::string header(rest_.data(), end == 0 ? size : size - 1);
    rest_size_ -= size;
    std::memmove(rest_.data(), rest_.data() + size, rest_size_);
    ends_.Reset();
    return header;
  }
}

absl::StatusOr<bool> ChunkReader::Next(Chunk* chunk) {
  if (chunk->turn != nullptr) {
    KVARTS_RETURN_IF_ERROR(chunk->buffer.Resize(options_.chunk_bytes));
    chunk->GiveTurn();
  }
  MutexLock lock(&mu_);
  if (over_ || stopped_.load(std::memory_order_relaxed)) return false;
  absl::StatusOr<bool> filled = Fill(chunk);
  chunk->number = next_;
  if (filled.ok() && *filled) {
    ++next_;
  } else {
    over_ = true;
  }
  return filled;
}

absl::Status ChunkReader::FindDamage(uint64_t bytes) {
  MutexLock lock(&mu_);
  if (!source_->unpacks()) return absl::OkStatus();
  KVARTS_RETURN_IF_ERROR(rest_.Resize(options_.chunk_bytes));
  while (bytes > 0 && !at_end_) {
    const absl::StatusOr<size_t> n = source_->Read(rest_.data(), rest_.size());
    if (!n.ok()) return absl::IsDataLoss(n.status()) ? n.status() : absl::OkStatus();
    at_end_ = *n == 0;
    bytes -= std::min<uint64_t>(bytes, *n);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ChunkReader::Fill(Chunk* chunk) {
  size_t want = std::max(options_.chunk_bytes, rest_size_);
  // A header may have left more than is read at a time.
  if (chunk->buffer.size() < want) KVARTS_RETURN_IF_ERROR(chunk->buffer.Resize(want));
  size_t size = rest_size_;
  if (size > 0) std::memcpy(chunk->buffer.data(), rest_.data(), size);
  rest_size_ = 0;
  ends_.Reset();
  size_t end = 0;
  while (true) {
    KVARTS_RETURN_IF_ERROR(ReadTo(chunk->buffer.data(), &size, want));
    end = ends_.Last(chunk->buffer.data(), size);
    if (end != 0 || at_end_) break;
    if (size > options_.max_row_bytes) {
      chunk->row_failed = true;
      return absl::InvalidArgumentError(
          absl::StrCat("longer than the limit of ", options_.max_row_bytes, " bytes"));
    }
    want += options_.chunk_bytes;
    const absl::Status grown = Grow(chunk, want);
    if (!grown.ok()) {
      chunk->row_failed = true;
      return absl::Status(grown.code(),
                          absl::StrCat("a row of more than ", size, " bytes: ", grown.message()));
    }
  }
  begun_ = true;
  if (end == 0) end = size;  // the last row lacks its newline
  chunk->text = chunk->buffer.data();
  chunk->size = end;
  if (end == 0) return false;
  rest_size_ = size - end;
  if (rest_size_ > rest_.size()) {
    KVARTS_RETURN_IF_ERROR(rest_.Resize(std::max(rest_size_, options_.chunk_bytes)));
  }
  if (rest_size_ > 0) std::memcpy(rest_.data(), chunk->text + end, rest_size_);
  return true;
}

}  // namespace kvarts::groupby_text
