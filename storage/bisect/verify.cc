#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/status_macros.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "storage/bisect/dataset.h"

namespace kvarts {
namespace {

constexpr uint64_t kProgressRecords = 1 << 14;

class Verifier {
 public:
  Verifier(const Dataset& dataset, FileSystem* fs, ProgressSink* progress)
      : dataset_(dataset), index_(dataset.index()), fs_(fs), progress_(progress) {}

  absl::Status Run() {
    const IndexHeader& header = index_.header();
    for (uint64_t page = 1; page < header.pages(); ++page) {
      if (!index_.VerifyPage(page)) return index_.damage();
    }
    KVARTS_RETURN_IF_ERROR(CheckDataChecksum());
    const uint64_t buckets = uint64_t{1} << header.radix_bits;
    uint64_t rank = 0;
    for (uint64_t bucket = 0; bucket < buckets; ++bucket) {
      uint64_t begin = 0;
      uint64_t end = 0;
      if (!index_.Bucket(bucket, &begin, &end)) return index_.damage();
      if (begin != rank) return Fault(rank, "the radix table leaves entries out or repeats them");
      for (; rank < end; ++rank) KVARTS_RETURN_IF_ERROR(CheckEntry(bucket, rank));
    }
    if (rank != header.entries) return Fault(rank, "the radix table ends before the entries");
    return absl::OkStatus();
  }

 private:
  absl::Status CheckDataChecksum() {
    KVARTS_ASSIGN_OR_RETURN(const auto file, fs_->OpenForRead(dataset_.data_path()));
    ChecksumStream checksum;
    std::string block(std::min<uint64_t>(index_.header().data.size + 1, 1 << 20), '\0');
    uint64_t offset = 0;
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const size_t got, file->Read(offset, block.size(), &block[0]));
      if (got == 0) break;
      checksum.Update(absl::string_view(block.data(), got));
      offset += got;
      Report("checksum", "bytes", offset, index_.header().data.size);
    }
    if (checksum.Digest() == index_.header().data_checksum) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(dataset_.data_path(),
                                            ": the data file is not the one the index was built "
                                            "of: its checksum differs"));
  }

  absl::Status CheckEntry(uint64_t bucket, uint64_t rank) {
    uint64_t entry = 0;
    if (!index_.Entry(rank, &entry)) return index_.damage();
    const uint64_t offset = index_.Offset(entry);
    const DataFileMap& data = dataset_.data();
    absl::string_view key;
    absl::string_view value;
    if (offset >= data.size() ||
        (offset != data.begin() && (offset == 0 || data.data()[offset - 1] != '\n')) ||
        !data.Get(offset, &key, &value)) {
      return Fault(rank, absl::StrCat("offset ", offset, " begins no record"));
    }
    if (index_.ValueSize(entry) != DataFileMap::kUnknownSize &&
        index_.ValueSize(entry) != value.size()) {
      return Fault(rank, absl::StrCat("the value at offset ", offset, " has another size"));
    }
    uint64_t code = 0;
    if (!index_.header().coding.Code(key, &code) || index_.BucketOf(code) != bucket ||
        index_.TagOf(code) != index_.Tag(entry)) {
      return Fault(rank, absl::StrCat("the record at offset ", offset, " has another key"));
    }
    if (rank > 0 && !(last_key_ < key)) return Fault(rank, "keys do not ascend");
    last_key_.assign(key.data(), key.size());
    if (rank % kProgressRecords == 0) Report("entries", "records", rank, dataset_.size());
    return absl::OkStatus();
  }

  absl::Status Fault(uint64_t rank, absl::string_view what) const {
    return absl::DataLossError(absl::StrCat(index_.path(), ": entry ", rank, ": ", what));
  }
  void Report(absl::string_view phase, absl::string_view unit, uint64_t done, uint64_t total) {
    if (progress_ != nullptr) progress_->Report(phase, unit, done, total);
  }

  const Dataset& dataset_;
  const IndexReader& index_;
  FileSystem* const fs_;
  ProgressSink* const progress_;
  std::string last_key_;
};

}  // namespace

absl::Status VerifyBisect(absl::string_view data_path, const BuildOptions& options) {
  const std::string index_path =
      options.index_path.empty() ? DefaultIndexPath(data_path) : options.index_path;
  KVARTS_ASSIGN_OR_RETURN(const auto dataset, Dataset::Open(options.fs, data_path, index_path));
  return Verifier(*dataset, options.fs, options.progress).Run();
}

}  // namespace kvarts
