#include "storage/data_file/data_file_fixture.h"

#include <unistd.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

std::string NewDir(absl::string_view name) {
  static std::atomic<int> made{0};
  return JoinPath(testing::TempDir(), absl::StrCat(name, ".", getpid(), ".", ++made));
}

}  // namespace

DataFileFixture::DataFileFixture(absl::string_view name) : dir_(NewDir(name)) {}

DataFileFixture::~DataFileFixture() {
  const auto names = fs_->List(dir_);
  if (!names.ok()) return;
  for (const std::string& name : *names) fs_->Delete(JoinPath(dir_, name)).IgnoreError();
  fs_->DeleteDir(dir_).IgnoreError();
}

absl::StatusOr<std::unique_ptr<Store>> DataFileFixture::Open(const Records& records) {
  if (opened_++ == 0) KVARTS_RETURN_IF_ERROR(fs_->CreateDir(dir_));
  data_path_ = JoinPath(dir_, absl::StrCat(opened_, ".data"));
  std::string text;
  for (const auto& [key, value] : records) absl::StrAppend(&text, key, " ", value, "\n");
  KVARTS_RETURN_IF_ERROR(WriteFileAtomically(fs_, data_path_, text));
  KVARTS_RETURN_IF_ERROR(Prepare(data_path_));
  return Reopen();
}

bool DataFileFixture::Accepts(absl::string_view key, absl::string_view value) const {
  return !key.empty() && key.find_first_of(" \n") == absl::string_view::npos &&
         value.find('\n') == absl::string_view::npos;
}

}  // namespace kvarts
