#include "storage/bisect/conformance/bisect_fixture.h"

#include <unistd.h>

#include <atomic>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "storage/fs/file_system.h"

namespace kvarts {
namespace {

// Not thread-safe.
class BisectFixture final : public StoreFixture {
 public:
  BisectFixture() {
    static std::atomic<int> made{0};
    dir_ = JoinPath(testing::TempDir(), absl::StrCat("bisect.", getpid(), ".", ++made));
  }

  ~BisectFixture() override {
    const auto names = fs_->List(dir_);
    if (!names.ok()) return;
    for (const std::string& name : *names) fs_->Delete(JoinPath(dir_, name)).IgnoreError();
    fs_->DeleteDir(dir_).IgnoreError();
  }

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    if (opened_++ == 0) KVARTS_RETURN_IF_ERROR(fs_->CreateDir(dir_));
    data_path_ = JoinPath(dir_, absl::StrCat(opened_, ".data"));
    std::string text;
    for (const auto& [key, value] : records) absl::StrAppend(&text, key, " ", value, "\n");
    KVARTS_RETURN_IF_ERROR(WriteFileAtomically(fs_, data_path_, text));
    BuildOptions options;
    options.memory_bytes = kMinBuildMemory;
    KVARTS_RETURN_IF_ERROR(BuildBisect(data_path_, options).status());
    return Reopen();
  }

  bool can_reopen() const override { return true; }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override {
    return OpenBisect(data_path_, BisectOptions());
  }

  // What a line of a data file can hold.
  bool Accepts(absl::string_view key, absl::string_view value) const override {
    return !key.empty() && key.find_first_of(" \n") == absl::string_view::npos &&
           value.find('\n') == absl::string_view::npos;
  }

 private:
  FileSystem* const fs_ = FileSystem::Posix();
  std::string dir_;
  std::string data_path_;
  int opened_ = 0;
};

}  // namespace

std::unique_ptr<StoreFixture> NewBisectFixture() { return std::make_unique<BisectFixture>(); }

}  // namespace kvarts
