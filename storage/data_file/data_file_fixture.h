#ifndef KVARTS_STORAGE_DATA_FILE_DATA_FILE_FIXTURE_H_
#define KVARTS_STORAGE_DATA_FILE_DATA_FILE_FIXTURE_H_

#include <memory>
#include <string>

#include "storage/fs/file_system.h"
#include "testing/conformance/store_fixture.h"

namespace kvarts {

// A store of a data file under test: the records are written as one, in a
// temporary directory that ends with the fixture. Not thread-safe.
class DataFileFixture : public StoreFixture {
 public:
  // `name` of the directory.
  explicit DataFileFixture(absl::string_view name);
  ~DataFileFixture() override;

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override;
  bool can_reopen() const override { return true; }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override { return OpenFile(data_path_); }

  // What a line of a data file can hold.
  bool Accepts(absl::string_view key, absl::string_view value) const override;

 protected:
  // Called once a file was written, before it is opened.
  virtual absl::Status Prepare(const std::string&) { return absl::OkStatus(); }
  virtual absl::StatusOr<std::unique_ptr<Store>> OpenFile(const std::string& data_path) = 0;

 private:
  FileSystem* const fs_ = FileSystem::Posix();
  const std::string dir_;
  std::string data_path_;
  int opened_ = 0;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DATA_FILE_DATA_FILE_FIXTURE_H_
