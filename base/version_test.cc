#include "base/version.h"

#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

TEST(VersionTest, IsTheModulesVersion) {
  std::ifstream file("MODULE.bazel");
  const std::string module((std::istreambuf_iterator<char>(file)), {});
  const std::string line = "    version = \"" + std::string(kVersion) + "\",\n";
  EXPECT_NE(module.find("module(\n    name = \"kvarts\",\n" + line), std::string::npos)
      << "MODULE.bazel and base/version.h name different versions; expected in its module(): "
      << line;
}

}  // namespace
}  // namespace kvarts
