#include "storage/bisect/conformance/bisect_fixture.h"

#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "storage/data_file/data_file_fixture.h"

namespace kvarts {
namespace {

class BisectFixture final : public DataFileFixture {
 public:
  BisectFixture() : DataFileFixture("bisect") {}

 protected:
  absl::Status Prepare(const std::string& data_path) override {
    BuildOptions options;
    options.memory_bytes = kMinBuildMemory;
    return BuildBisect(data_path, options).status();
  }
  absl::StatusOr<std::unique_ptr<Store>> OpenFile(const std::string& data_path) override {
    return OpenBisect(data_path, BisectOptions());
  }
};

}  // namespace

std::unique_ptr<StoreFixture> NewBisectFixture() { return std::make_unique<BisectFixture>(); }

}  // namespace kvarts
