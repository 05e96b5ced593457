#include <atomic>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/native/frame.h"
#include "net/native/retry_table.h"
#include "net/native/sequence_window.h"
#include "net/native/session_harness.h"
#include "net/native/wire.h"
#include "storage/read_results.h"

namespace kvarts {
namespace native {
namespace {

// The hex bytes in the example of FORMAT.md, by the name before each block.
std::string Example(const std::string& name) {
  std::ifstream file("net/native/FORMAT.md");
  EXPECT_TRUE(file.good());
  std::string line;
  std::string hex;
  bool inside = false;
  while (std::getline(file, line)) {
    if (absl::StrContains(line, absl::StrCat("**", name, "**"))) {
      inside = true;
    } else if (inside && absl::StartsWith(line, "    ")) {
      std::istringstream words(line);
      std::string word;
      while (words >> word && word.size() == 2) hex += word;
    } else if (inside && !line.empty()) {
      break;
    }
  }
  return absl::HexStringToBytes(hex);
}

TEST(FormatTest, TheExampleIsWhatIsSaid) {
  EXPECT_EQ(absl::BytesToHexString(Example("Client: hello")),
            absl::BytesToHexString(Hello("c1", "pw")));
  Request get = NewRequest(7, GET);
  get.add_key_sizes(1);
  EXPECT_EQ(absl::BytesToHexString(Example("Client: get")),
            absl::BytesToHexString(ToFrame(get, "k")));
  NativeServerOptions options;
  options.password = "pw";
  SessionHarness harness(options);
  ASSERT_TRUE(harness.store().Put("k", "value").ok());
  const auto connection = harness.Connect();
  harness.Send(*connection, Example("Client: hello"));
  const size_t hello = connection->wire->written.size();
  EXPECT_EQ(connection->wire->written.substr(0, 16), Example("Server: preamble"));
  harness.Send(*connection, Example("Client: get"));
  EXPECT_EQ(absl::BytesToHexString(connection->wire->written.substr(hello)),
            absl::BytesToHexString(Example("Server: answer")));
}

// Feeds `bytes`, `step` at a time; returns the frames as "header|payload".
std::vector<std::string> Cut(FrameReader& reader, absl::string_view bytes, size_t step,
                             size_t* largest_space) {
  std::vector<std::string> frames;
  while (!bytes.empty()) {
    const absl::Span<char> space = reader.Space();
    *largest_space = std::max(*largest_space, space.size());
    EXPECT_GT(space.size(), 0u);
    const size_t n = std::min({bytes.size(), step, space.size()});
    std::copy_n(bytes.begin(), n, space.begin());
    bytes.remove_prefix(n);
    reader.Filled(n);
    Frame frame;
    while (true) {
      auto whole = reader.Next(&frame);
      EXPECT_TRUE(whole.ok());
      if (!whole.ok() || !*whole) break;
      frames.push_back(absl::StrCat(frame.header, "|", frame.payload));
    }
  }
  return frames;
}

TEST(FrameReaderTest, FramesAreTheSameInPiecesOfAnySize) {
  std::string bytes;
  std::vector<std::string> want;
  for (size_t i = 0; i < 60; ++i) {
    const std::string header(i * 37 % 500, 'h');
    const std::string payload(i * i * i % 90000, static_cast<char>('a' + i % 26));
    AppendFrameHead(header, "", payload.size(), &bytes);
    bytes += payload;
    want.push_back(header + "|" + payload);
  }
  for (const size_t step : {7, 1000, 4096, 65536, 1 << 20}) {
    for (const bool pins : {false, true}) {
      FrameReader reader(1000, 1 << 20);
      std::vector<std::shared_ptr<const void>> kept;
      size_t space = 0;
      if (pins) {
        // A pin at every read: no chunk may then be written twice.
        std::vector<std::string> got;
        std::vector<std::pair<absl::string_view, std::string>> views;
        absl::string_view left = bytes;
        while (!left.empty()) {
          const absl::Span<char> to = reader.Space();
          const size_t n = std::min({left.size(), step, to.size()});
          std::copy_n(left.begin(), n, to.begin());
          left.remove_prefix(n);
          reader.Filled(n);
          Frame frame;
          while (*reader.Next(&frame)) {
            kept.push_back(reader.pin());
            views.emplace_back(frame.payload, std::string(frame.payload));
            got.push_back(absl::StrCat(frame.header, "|", frame.payload));
          }
        }
        EXPECT_EQ(got, want);
        for (const auto& [view, copy] : views) ASSERT_EQ(view, copy);
      } else {
        EXPECT_EQ(Cut(reader, bytes, step, &space), want);
      }
    }
  }
}

TEST(FrameReaderTest, ADeclaredLengthTakesNoMemory) {
  FrameReader reader(kMaxHeaderBytes, kMaxFrameBytes);
  std::string bytes;
  AppendFrameHead("", "", 70 << 20, &bytes);
  size_t space = 0;
  Cut(reader, bytes, 1 << 20, &space);
  EXPECT_LE(reader.Space().size(), 64u << 10);
  // And as the bytes come, at most twice as much.
  size_t sent = bytes.size();
  const std::string zeros(100000, '\0');
  while (sent < 20u << 20) {
    Cut(reader, zeros, 1 << 20, &space);
    sent += zeros.size();
    ASSERT_LE(reader.Space().size(), sent + (64u << 10));
  }
}

TEST(FrameReaderTest, FramesBeyondTheLimitsAreRefusedAtTheirFirstBytes) {
  const auto error = [](uint64_t header, uint64_t payload) {
    FrameReader reader(100, 1000);
    std::string bytes;
    bytes.append(reinterpret_cast<const char*>(&header), 4);
    bytes.append(reinterpret_cast<const char*>(&payload), 8);
    std::copy(bytes.begin(), bytes.end(), reader.Space().begin());
    reader.Filled(bytes.size());
    Frame frame;
    return reader.Next(&frame).status().code();
  };
  EXPECT_EQ(error(100, 888), absl::StatusCode::kOk);
  EXPECT_EQ(error(100, 889), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(error(101, 0), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(error(0, UINT64_MAX), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(error(UINT32_MAX, UINT64_MAX), absl::StatusCode::kResourceExhausted);
}

TEST(VersionsTest, TheHighestOfBothIsSpokenOrAllAreNamed) {
  EXPECT_EQ(*Agree({1, 3}, {2, 5}), 3);
  EXPECT_EQ(*Agree({2, 9}, {1, 4}), 4);
  const absl::Status status = Agree({2, 3}, {1, 1}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "the client speaks versions 2 to 3 of the native protocol, the server 1 to 1");
  EXPECT_FALSE(Agree({1, 1}, {2, 3}).ok());
}

TEST(WireTest, CapabilitiesAreTheSameBehindTheWire) {
  Capabilities has = ModelCapabilities();
  EXPECT_EQ(FromProto(ToProto(has)), has);
  has = Capabilities();
  has.scan = Support::kEmulatedLog;
  has.batch_scope = BatchScope::kShard;
  has.durable = has.may_block = has.discards = true;
  EXPECT_EQ(FromProto(ToProto(has)), has);
  EXPECT_FALSE(ToProto(has).max_batch_mutations() > 0) << "no limit is as from an older server";
  has.max_batch_mutations = 1000;
  has.max_batch_bytes = 1 << 20;
  EXPECT_EQ(FromProto(ToProto(has)), has);
  CapabilitySet later = ToProto(has);
  later.set_write(9);
  later.set_batch_scope(9);
  EXPECT_EQ(FromProto(later).write, Support::kAbsent);
  EXPECT_EQ(FromProto(later).batch_scope, BatchScope::kNone);
}

TEST(WireTest, ManyContentTypesAreToldApart) {
  Response response;
  MetadataWriter writer(&response, 600);
  for (size_t i = 0; i < 600; ++i) {
    writer.Add(i, i % 3 == 0 ? 0 : static_cast<int64_t>(i),
               i % 5 == 0 ? "" : absl::StrCat("type", i % 20));
  }
  const MetadataReader reader(response);
  ASSERT_TRUE(reader.Check(600).ok());
  EXPECT_FALSE(reader.Check(599).ok());
  for (size_t i = 0; i < 600; ++i) {
    EXPECT_EQ(reader.expires_at_ms(i), i % 3 == 0 ? 0 : static_cast<int64_t>(i));
    EXPECT_EQ(reader.content_type(i), i % 5 == 0 ? "" : absl::StrCat("type", i % 20));
  }
}

TEST(SequenceWindowTest, TheFirstUnacknowledgedFollowsTheOldestWrite) {
  SequenceWindow window;
  EXPECT_EQ(window.Begin().sequence, 1u);
  EXPECT_EQ(window.Begin().sequence, 2u);
  window.End(2);
  EXPECT_EQ(window.Begin().first_unacknowledged, 1u);
  window.End(1);
  const auto numbers = window.Begin();
  EXPECT_EQ(numbers.sequence, 4u);
  EXPECT_EQ(numbers.first_unacknowledged, 3u);
}

using Verdict = RetryClient::Verdict;

Verdict Begin(RetryClient& client, uint64_t sequence, uint64_t first = 0,
              std::string* answer = nullptr) {
  std::string own;
  return client.Begin(
      sequence, first, [](const std::string&) {}, answer ? answer : &own);
}

TEST(RetryClientTest, AWriteIsAppliedOnceAndAnsweredAgain) {
  RetryClient client("s", {});
  EXPECT_EQ(Begin(client, 1), Verdict::kApply);
  std::string waited;
  std::string answer;
  EXPECT_EQ(client.Begin(
                1, 0, [&](const std::string& a) { waited = a; }, &answer),
            Verdict::kUnderWay);
  client.Finish(1, "done");
  EXPECT_EQ(waited, "done");
  EXPECT_EQ(Begin(client, 1, 1, &answer), Verdict::kAnswered);
  EXPECT_EQ(answer, "done");
}

TEST(RetryClientTest, WhatTheClientGaveUpIsForgottenAndRefused) {
  RetryClient client("s", {});
  for (uint64_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(Begin(client, i), Verdict::kApply);
    client.Finish(i, "done");
  }
  EXPECT_EQ(Begin(client, 4, 3), Verdict::kApply);
  EXPECT_EQ(Begin(client, 2), Verdict::kForgotten);
  EXPECT_EQ(Begin(client, 3), Verdict::kAnswered);
  EXPECT_EQ(Begin(client, 4), Verdict::kUnderWay);
}

TEST(RetryClientTest, TheOldestAnswersGoWhereThereAreTooMany) {
  RetryClient::Limits limits;
  limits.answers = 2;
  RetryClient client("s", limits);
  EXPECT_EQ(Begin(client, 1), Verdict::kApply);  // stays under way
  for (uint64_t i = 2; i <= 5; ++i) {
    EXPECT_EQ(Begin(client, i), Verdict::kApply);
    client.Finish(i, "done");
  }
  EXPECT_EQ(Begin(client, 3), Verdict::kForgotten);
  EXPECT_EQ(Begin(client, 4), Verdict::kAnswered);
  EXPECT_EQ(Begin(client, 1), Verdict::kUnderWay);
  limits = {};
  limits.bytes = 10;
  RetryClient small("s", limits);
  EXPECT_EQ(Begin(small, 1), Verdict::kApply);
  small.Finish(1, "12345678");
  EXPECT_EQ(Begin(small, 2), Verdict::kApply);
  small.Finish(2, "12345678");
  EXPECT_EQ(Begin(small, 1), Verdict::kForgotten);
  EXPECT_EQ(Begin(small, 2), Verdict::kAnswered);
}

TEST(RetryClientTest, AWriteThatWasNotTriedIsNew) {
  RetryClient client("s", {});
  EXPECT_EQ(Begin(client, 1), Verdict::kApply);
  std::string waited;
  std::string answer;
  client.Begin(
      1, 0, [&](const std::string& a) { waited = a; }, &answer);
  client.Undo(1, "late");
  EXPECT_EQ(waited, "late");
  EXPECT_EQ(Begin(client, 1), Verdict::kApply);
}

TEST(RetryTableTest, AClientThatComesBackFindsItsMemoryUntilOthersTakeItsPlace) {
  RetryTable table(/*max_absent_clients=*/2);
  auto a = table.Attach("a");
  const std::string session = a->session();
  EXPECT_EQ(Begin(*a, 1), Verdict::kApply);
  auto again = table.Attach("a");
  EXPECT_EQ(Begin(*again, 1), Verdict::kUnderWay);
  a.reset();
  again.reset();
  EXPECT_EQ(table.Attach("a")->session(), session);
  auto connected = table.Attach("connected");
  const std::string kept = connected->session();
  for (const char* other : {"b", "c", "d"}) table.Attach(other);
  EXPECT_NE(table.Attach("a")->session(), session);
  EXPECT_EQ(table.Attach("connected")->session(), kept);
  EXPECT_NE(RetryTable().Attach("a")->session(), RetryTable().Attach("a")->session());
}

}  // namespace
}  // namespace native
}  // namespace kvarts
