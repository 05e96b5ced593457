#ifndef KVARTS_STORAGE_DICT_TEST_DATA_H_
#define KVARTS_STORAGE_DICT_TEST_DATA_H_

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "storage/dict/dict.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// A directory of its own for each test.
class DictTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* const info = testing::UnitTest::GetInstance()->current_test_info();
    dir_ = JoinPath(testing::TempDir(), absl::StrCat(info->test_suite_name(), ".", info->name()));
    fs_->CreateDir(dir_).IgnoreError();  // there when a test is repeated
    data_ = JoinPath(dir_, "my.data");
  }

  void WriteData(absl::string_view text) {
    auto file = fs_->OpenForWrite(data_, FileSystem::Create::kTruncate);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)->Append(text).ok());
    ASSERT_TRUE((*file)->Close().ok());
  }
  static std::string Lines(const std::map<std::string, std::string>& records) {
    std::string out;
    for (const auto& [key, value] : records) absl::StrAppend(&out, key, " ", value, "\n");
    return out;
  }
  absl::StatusOr<std::unique_ptr<Store>> TryOpen() { return OpenDict(data_, options_, &report_); }
  std::unique_ptr<Store> Open() {
    auto store = TryOpen();
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  // The value, or "(absent)".
  static std::string ValueOf(Store& store, absl::string_view key) {
    const auto value = store.Get(key);
    EXPECT_TRUE(value.ok()) << value.status();
    return value.ok() && value->has_value() ? **value : "(absent)";
  }
  // All entries, as they come.
  static std::vector<std::pair<std::string, std::string>> Scan(Store& store) {
    std::vector<std::pair<std::string, std::string>> out;
    auto cursor = store.NewCursor(ScanOptions());
    EXPECT_TRUE(cursor.ok()) << cursor.status();
    ScanPage page;
    do {
      EXPECT_TRUE((*cursor)->Next(PageLimits(), &page).ok());
      for (const ScanEntry& e : page) out.emplace_back(std::string(e.key), std::string(e.value));
    } while (!page.empty());
    return out;
  }

  FileSystem* const fs_ = FileSystem::Posix();
  std::string dir_;
  std::string data_;
  DictOptions options_;
  DictReport report_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DICT_TEST_DATA_H_
