#ifndef KVARTS_NET_HTTP_DATA_FIXTURE_H_
#define KVARTS_NET_HTTP_DATA_FIXTURE_H_

#include <boost/json.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "net/http/http_fixture.h"

namespace kvarts {

// For the routes that answer in JSON.
class DataRoutesTest : public HttpTest {
 protected:
  void SetUp() override { StartServer(); }

  // The bytes that a member of an answer stands for.
  static std::string Bytes(const boost::json::value& value) {
    if (value.is_string()) return std::string(value.as_string());
    std::string bytes;
    EXPECT_TRUE(
        absl::Base64Unescape(absl::string_view(value.as_object().at("base64").as_string().data(),
                                               value.as_object().at("base64").as_string().size()),
                             &bytes));
    return bytes;
  }
  static boost::json::object Parsed(const TestResponse& response) {
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_TRUE(response.Has("Content-Type: application/json"));
    return boost::json::parse(response.body).as_object();
  }
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_DATA_FIXTURE_H_
