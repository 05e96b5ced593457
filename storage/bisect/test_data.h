#ifndef KVARTS_STORAGE_BISECT_TEST_DATA_H_
#define KVARTS_STORAGE_BISECT_TEST_DATA_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// A directory of its own for each test.
class BisectTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* const info = testing::UnitTest::GetInstance()->current_test_info();
    dir_ = JoinPath(testing::TempDir(), absl::StrCat(info->test_suite_name(), ".", info->name()));
    fs_->CreateDir(dir_).IgnoreError();  // there when a test is repeated
    data_ = JoinPath(dir_, "my.data");
    index_ = DefaultIndexPath(data_);
  }

  void WriteData(absl::string_view text) {
    auto file = fs_->OpenForWrite(data_, FileSystem::Create::kTruncate);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)->Append(text).ok());
    ASSERT_TRUE((*file)->Close().ok());
  }
  // Another file under the same name, so that the one that is mapped stays.
  void ReplaceData(absl::string_view text) {
    ASSERT_TRUE(WriteFileAtomically(fs_, data_, text).ok());
  }
  static std::string Lines(const std::map<std::string, std::string>& records) {
    std::string out;
    for (const auto& [key, value] : records) absl::StrAppend(&out, key, " ", value, "\n");
    return out;
  }
  BuildReport Build(uint64_t memory = 64 << 20) {
    BuildOptions options;
    options.memory_bytes = memory;
    auto report = BuildBisect(data_, options);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : BuildReport();
  }
  std::unique_ptr<Store> Open() {
    auto store = OpenBisect(data_, BisectOptions());
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  std::string Slurp(const std::string& path) {
    auto text = ReadFile(fs_, path);
    EXPECT_TRUE(text.ok()) << text.status();
    return text.ok() ? *text : "";
  }
  size_t FilesInDir() { return fs_->List(dir_)->size(); }

  FileSystem* const fs_ = FileSystem::Posix();
  std::string dir_;
  std::string data_;
  std::string index_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_TEST_DATA_H_
