#include "storage/bisect/index_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

constexpr size_t kBufferBytes = 64 * kIndexPageBytes;

}  // namespace

absl::StatusOr<std::unique_ptr<IndexWriter>> IndexWriter::New(FileSystem* fs,
                                                              absl::string_view path,
                                                              const IndexHeader& header) {
  std::unique_ptr<IndexWriter> writer(new IndexWriter(fs, std::string(path), header));
  KVARTS_ASSIGN_OR_RETURN(writer->file_,
                          fs->OpenForWrite(writer->temp_path_, FileSystem::Create::kTruncate));
  // Room for header and radix table, which are written last.
  const std::string zeros(kIndexPageBytes, '\0');
  for (uint64_t i = 0; i < header.first_entry_page(); ++i) {
    KVARTS_RETURN_IF_ERROR(writer->file_->Append(zeros));
  }
  return writer;
}

IndexWriter::IndexWriter(FileSystem* fs, std::string path, const IndexHeader& header)
    : fs_(fs),
      path_(std::move(path)),
      temp_path_(absl::StrCat(path_, ".tmp")),
      header_(header),
      radix_(header.radix_size()),
      page_number_(header.first_entry_page()) {
  header_.entries = 0;
  buffer_.reserve(kBufferBytes);
}

IndexWriter::~IndexWriter() {
  if (finished_ || file_ == nullptr) return;
  file_.reset();
  fs_->Delete(temp_path_).IgnoreError();  // the first error is the one to report
}

uint64_t IndexWriter::memory_bytes() const { return radix_.size() * 4 + kBufferBytes; }

absl::Status IndexWriter::Add(uint64_t code, uint64_t offset, uint64_t value_size) {
  if (header_.entries == kMaxIndexEntries) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path_, ": more than ", kMaxIndexEntries, " keys, the most an index holds"));
  }
  const uint64_t bucket = RadixBucket(code, header_.radix_bits);
  while (next_bucket_ <= bucket) radix_[next_bucket_++] = static_cast<uint32_t>(header_.entries);
  if (slot_ == 0) buffer_.append(kPageChecksumBytes, '\0');
  const uint64_t tag = EntryTag(code, header_.radix_bits, header_.tag_bits);
  const uint64_t unknown = (uint64_t{1} << header_.length_bits) - 1;
  const uint64_t length = std::min(value_size, unknown);
  AppendLE64(&buffer_, tag << (64 - header_.tag_bits) | length << header_.offset_bits | offset);
  ++header_.entries;
  if (++slot_ == kEntriesPerPage) return FlushPage();
  return absl::OkStatus();
}

absl::Status IndexWriter::FlushPage() {
  slot_ = 0;
  buffer_.resize((buffer_.size() + kIndexPageBytes - 1) / kIndexPageBytes * kIndexPageBytes);
  char* const page = &buffer_[buffer_.size() - kIndexPageBytes];
  StoreLE64(page, IndexPageChecksum(header_, page_number_++, page));
  return buffer_.size() >= kBufferBytes ? FlushBuffer() : absl::OkStatus();
}

absl::Status IndexWriter::FlushBuffer() {
  KVARTS_RETURN_IF_ERROR(file_->Append(buffer_));
  buffer_.clear();
  return absl::OkStatus();
}

absl::Status IndexWriter::WriteRadix() {
  while (next_bucket_ < radix_.size()) {
    radix_[next_bucket_++] = static_cast<uint32_t>(header_.entries);
  }
  for (uint64_t page_number = 1; page_number < header_.first_entry_page(); ++page_number) {
    std::string page(kPageChecksumBytes, '\0');
    const uint64_t first = (page_number - 1) * kRadixPerPage;
    for (uint64_t i = first; i < first + kRadixPerPage && i < radix_.size(); ++i) {
      AppendLE32(&page, radix_[i]);
    }
    page.resize(kIndexPageBytes);
    StoreLE64(&page[0], IndexPageChecksum(header_, page_number, page.data()));
    KVARTS_RETURN_IF_ERROR(file_->WriteAt(page_number * kIndexPageBytes, page));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> IndexWriter::Finish() {
  if (slot_ > 0) KVARTS_RETURN_IF_ERROR(FlushPage());
  KVARTS_RETURN_IF_ERROR(FlushBuffer());
  KVARTS_RETURN_IF_ERROR(WriteRadix());
  KVARTS_RETURN_IF_ERROR(file_->WriteAt(0, header_.Encode()));
  KVARTS_RETURN_IF_ERROR(file_->Sync());
  KVARTS_RETURN_IF_ERROR(file_->Close());
  KVARTS_RETURN_IF_ERROR(fs_->Rename(temp_path_, path_));
  finished_ = true;
  KVARTS_RETURN_IF_ERROR(fs_->SyncDir(DirName(path_)));
  return header_.file_bytes();
}

}  // namespace kvarts
