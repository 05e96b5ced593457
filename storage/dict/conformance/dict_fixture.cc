#include "storage/dict/conformance/dict_fixture.h"

#include "storage/data_file/data_file_fixture.h"
#include "storage/dict/dict.h"

namespace kvarts {
namespace {

class DictFixture final : public DataFileFixture {
 public:
  DictFixture() : DataFileFixture("dict") {}

 protected:
  absl::StatusOr<std::unique_ptr<Store>> OpenFile(const std::string& data_path) override {
    return OpenDict(data_path, DictOptions());
  }
};

}  // namespace

std::unique_ptr<StoreFixture> NewDictFixture() { return std::make_unique<DictFixture>(); }

}  // namespace kvarts
