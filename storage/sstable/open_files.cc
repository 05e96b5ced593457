#include "storage/sstable/open_files.h"

#include <sys/resource.h>

#include <algorithm>
#include <list>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "base/status_macros.h"

namespace kvarts::sstable {

// Thread-safe. What the files have in common.
class OpenFiles::Shared {
 public:
  Shared(FileSystem* fs, size_t most) : fs_(fs), most_(most) {}

  FileSystem* fs() const { return fs_; }
  size_t open() const {
    MutexLock lock(&mu_);
    return open_.size();
  }

 private:
  friend class File;

  FileSystem* const fs_;
  const size_t most_;
  mutable Mutex mu_;
  std::list<const File*> open_ ABSL_GUARDED_BY(mu_);  // the one that was opened first in front
};

// Thread-safe. One that may be open.
class OpenFiles::File final : public RandomAccessFile {
 public:
  File(std::shared_ptr<Shared> shared, std::string path)
      : shared_(std::move(shared)), path_(std::move(path)) {}
  ~File() override {
    MutexLock lock(&shared_->mu_);
    if (place_.has_value()) shared_->open_.erase(*place_);
  }

  absl::StatusOr<size_t> Read(uint64_t offset, size_t size, char* scratch) const override {
    KVARTS_ASSIGN_OR_RETURN(const auto file, Get());
    return file->Read(offset, size, scratch);
  }
  absl::StatusOr<uint64_t> Size() const override {
    KVARTS_ASSIGN_OR_RETURN(const auto file, Get());
    return file->Size();
  }

  using FilePtr = std::shared_ptr<const RandomAccessFile>;

  // The same where another thread was faster. What had to be closed for it is, behind the lock,
  // once nobody reads it any more.
  FilePtr Set(FilePtr file) const {
    FilePtr closed;
    MutexLock lock(&shared_->mu_);
    if (file_ != nullptr) return file_;
    file_ = std::move(file);
    place_ = shared_->open_.insert(shared_->open_.end(), this);
    if (shared_->open_.size() > shared_->most_) closed = shared_->open_.front()->Leave();
    return file_;
  }

 private:
  absl::StatusOr<FilePtr> Get() const {
    {
      MutexLock lock(&shared_->mu_);
      if (file_ != nullptr) return file_;
    }
    KVARTS_ASSIGN_OR_RETURN(auto opened, shared_->fs()->OpenForRead(path_));
    return Set(FilePtr(std::move(opened)));
  }

  // Under the lock, which is the same of all files: that the analysis cannot know.
  FilePtr Leave() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    shared_->open_.erase(*std::exchange(place_, std::nullopt));
    return std::exchange(file_, nullptr);
  }

  const std::shared_ptr<Shared> shared_;
  const std::string path_;
  mutable FilePtr file_ ABSL_GUARDED_BY(shared_->mu_);
  mutable std::optional<std::list<const File*>::iterator> place_ ABSL_GUARDED_BY(shared_->mu_);
};

size_t OpenFiles::HalfOfProcess() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  return static_cast<size_t>(std::clamp<rlim_t>(limit.rlim_cur / 2, 1, 1 << 20));
}

OpenFiles::OpenFiles(FileSystem* fs, size_t most)
    : shared_(std::make_shared<Shared>(fs, std::max<size_t>(most, 1))) {}
OpenFiles::~OpenFiles() = default;

std::unique_ptr<RandomAccessFile> OpenFiles::Keep(std::string path,
                                                  std::unique_ptr<RandomAccessFile> file) {
  auto kept = std::make_unique<File>(shared_, std::move(path));
  kept->Set(std::move(file));
  return kept;
}

size_t OpenFiles::open() const { return shared_->open(); }

}  // namespace kvarts::sstable
