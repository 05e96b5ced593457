#include <memory>

#include "gtest/gtest.h"
#include "storage/null/null_fixture.h"
#include "testing/conformance/store_suite.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterStoreSuite("Null", [] { return std::make_unique<kvarts::NullFixture>(); });
  return RUN_ALL_TESTS();
}
