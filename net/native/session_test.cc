#include "net/native/session.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/metrics.h"
#include "net/native/session_harness.h"
#include "testing/model/manual_clock.h"

namespace kvarts {
namespace native {
namespace {

absl::StatusCode Code(const Answer& answer) {
  return static_cast<absl::StatusCode>(answer.response.code());
}

// The code and message of the connection's last word.
std::string LastWord(const SessionHarness::Connection& connection) {
  const std::vector<Answer> answers = connection.answers();
  if (answers.empty() || answers.back().response.id() != 0) return "no last word";
  return absl::StrCat(absl::StatusCodeToString(Code(answers.back())), ": ",
                      answers.back().response.message());
}

Capabilities Blocking() {
  Capabilities has = ModelCapabilities();
  has.may_block = true;
  return has;
}

// Every operation once, small and large; each request of it has an answer.
std::string Conversation() {
  std::string bytes = Hello();
  bytes += PutFrame(1, "key", "value", 1, 1);
  bytes += PutFrame(2, "large", std::string(9000, 'x'), 2, 1);
  Request get = NewRequest(3, GET);
  get.set_stamps(true);
  get.set_metadata(true);
  get.set_timeout_ms(1000);
  std::string keys;
  for (const char* key : {"key", "absent", "", "large"}) {
    get.add_key_sizes(static_cast<uint32_t>(strlen(key)));
    keys += key;
  }
  bytes += ToFrame(get, keys);
  Request write = NewRequest(4, WRITE);
  write.mutable_write()->set_atomic(true);
  write.mutable_write()->set_report_existed(true);
  write.mutable_write()->set_sequence(3);
  Mutation* const typed = write.mutable_write()->add_mutations();
  typed->set_key_size(1);
  typed->set_value_size(1);
  typed->set_content_type(2);
  typed->set_content_type_size(4);
  typed->set_expiry(2);
  typed->set_expires_at_ms(int64_t{1} << 50);
  Precondition* const condition = write.mutable_write()->add_preconditions();
  condition->set_kind(1);
  condition->set_key_size(3);
  bytes += ToFrame(write, "tvtypekey");
  Request scan = NewRequest(5, SCAN);
  scan.set_metadata(true);
  scan.mutable_scan()->set_begin("a");
  bytes += ToFrame(scan);
  for (const Operation operation : {STATS, SYNC, PING, SNAPSHOT}) {
    bytes += ToFrame(NewRequest(10 + operation, operation));
  }
  Request release = NewRequest(6, RELEASE);
  release.set_snapshot(12345);
  bytes += ToFrame(release);
  release.set_operation(RENEW);  // of none: an error of the request's own
  bytes += ToFrame(release);
  return bytes + GetFrame(8, "t");
}
constexpr size_t kRequests = 12;

TEST(SessionTest, EveryOperationIsAnswered) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  harness.Send(*connection, Conversation());
  const std::vector<Answer> answers = connection->answers();
  ASSERT_EQ(answers.size(), 1 + kRequests);
  const ServerHello& hello = answers[0].response.hello();
  EXPECT_EQ(hello.capabilities().write(), 3u);
  EXPECT_EQ(hello.max_frame_bytes(), 80u << 20);
  EXPECT_EQ(hello.write_session().size(), 16u);
  EXPECT_EQ(answers[3].payload, "value" + std::string(9000, 'x'));
  EXPECT_EQ(answers[3].response.value_sizes_size(), 4);
  EXPECT_EQ(answers[3].response.value_sizes(0), 6u);
  EXPECT_EQ(answers[3].response.value_sizes(1), 0u);
  EXPECT_EQ(answers[3].response.stamps_size(), 8);
  EXPECT_EQ(answers[4].response.write().existed_size(), 1);
  EXPECT_EQ(answers[5].response.entry_sizes_size(), 6);
  EXPECT_EQ(answers[5].response.content_types(0), "type");
  EXPECT_EQ(answers[5].response.expires_at_ms(2), int64_t{1} << 50);
  EXPECT_EQ(answers[6].response.stats().entries(), 3u);
  EXPECT_NE(answers[9].response.snapshot(), 0u);
  EXPECT_EQ(Code(answers[11]), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(answers[12].payload, "v");
  for (size_t i = 1; i < answers.size(); ++i) {
    if (i == 11) continue;
    EXPECT_EQ(Code(answers[i]), absl::StatusCode::kOk) << i;
  }
  EXPECT_FALSE(connection->over());
  harness.End(*connection);
  EXPECT_TRUE(connection->over());
  EXPECT_EQ(connection->answers().size(), answers.size());
}

TEST(SessionTest, OneByteAtATimeGivesTheSameAnswers) {
  for (const bool blocking : {false, true}) {
    SessionHarness harness({}, blocking ? Blocking() : ModelCapabilities());
    const auto connection = harness.Connect();
    connection->wire->read_at_most = 1;
    const std::string bytes = Conversation();
    for (const char byte : bytes) {
      harness.Send(*connection, absl::string_view(&byte, 1));
      harness.held().RunHeld();
    }
    harness.Move(*connection);
    const std::vector<Answer> answers = connection->answers();
    ASSERT_EQ(answers.size(), 1 + kRequests);
    EXPECT_EQ(answers[3].payload, "value" + std::string(9000, 'x'));
    EXPECT_EQ(answers[12].payload, "v");
  }
}

TEST(SessionTest, EveryTruncationOfAConversationIsAnsweredAsFarAsItGoes) {
  const std::string all = Conversation();
  size_t answered = 0;
  for (size_t cut = 0; cut <= all.size(); cut += cut > 200 && cut < 9000 ? 97 : 1) {
    SessionHarness harness;
    const auto connection = harness.Connect();
    harness.Send(*connection, all.substr(0, cut));
    harness.End(*connection);
    ASSERT_TRUE(connection->over()) << cut;
    ASSERT_TRUE(connection->wire->closed);
    std::vector<Answer> answers = connection->answers();
    ASSERT_FALSE(answers.empty());
    const bool whole = !answers.back().response.has_hello() && answers.back().response.id() != 0;
    if (!whole && answers.back().response.code() != 0) {
      EXPECT_EQ(LastWord(*connection), "INVALID_ARGUMENT: the connection ended inside a frame");
      answers.pop_back();
    }
    // More bytes never give fewer answers.
    ASSERT_GE(answers.size(), answered) << cut;
    answered = answers.size();
  }
  EXPECT_EQ(answered, 1 + kRequests);
}

TEST(SessionTest, EveryChangedByteEndsWithoutACrash) {
  const std::string all = Conversation();
  for (size_t at = 0; at<all.size(); at += at> 200 && at < 9000 ? 499 : 1) {
    for (const int flip : {1, 0x80, 0xff}) {
      std::string bytes = all;
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
      SessionHarness harness;
      const auto connection = harness.Connect();
      harness.Send(*connection, bytes);
      harness.End(*connection);
      harness.loop().Advance(absl::Minutes(1));
      ASSERT_TRUE(connection->over()) << at;
    }
  }
}

TEST(SessionTest, TheFirstWrongByteOfTheMagicIsEnough) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  harness.Send(*connection, "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(LastWord(*connection),
            "INVALID_ARGUMENT: the peer does not speak the kvarts native protocol: its first "
            "bytes are not \\x89KVARTS");
  EXPECT_TRUE(connection->wire->write_ended);
  EXPECT_FALSE(connection->over());  // until the peer has read it
  harness.End(*connection);
  EXPECT_TRUE(connection->over());
}

TEST(SessionTest, AnotherVersionIsRefusedWithBothNamed) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  std::string bytes;
  AppendPreamble(&bytes, {2, 3});
  harness.Send(*connection, bytes);
  EXPECT_EQ(LastWord(*connection),
            "FAILED_PRECONDITION: the client speaks versions 2 to 3 of the native protocol, the "
            "server 1 to 1");
}

TEST(SessionTest, PasswordIsAskedFor) {
  NativeServerOptions options;
  options.password = "right";
  SessionHarness harness(options);
  const auto last_word = [&](absl::string_view password) {
    const auto connection = harness.Connect();
    harness.Send(*connection, Hello("c", password) + GetFrame(1, "k"));
    const std::vector<Answer> answers = connection->answers();
    return answers.back().response.id() == 1 ? "in" : LastWord(*connection);
  };
  EXPECT_EQ(last_word("right"), "in");
  EXPECT_EQ(last_word(""), "UNAUTHENTICATED: the server asks for a password");
  for (const char* wrong : {"wrong", "rightright", "r", "righs"}) {
    EXPECT_EQ(last_word(wrong), "UNAUTHENTICATED: the password is wrong");
  }
}

TEST(SessionTest, BeforeTheHelloAFrameIsSmall) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  std::string bytes;
  AppendPreamble(&bytes);
  AppendFrameHead("", "", 4097 - kPrefixBytes, &bytes);
  harness.Send(*connection, bytes);
  EXPECT_TRUE(absl::StartsWith(LastWord(*connection), "RESOURCE_EXHAUSTED: a frame with"))
      << LastWord(*connection);
}

TEST(SessionTest, AnOversizeFrameEndsTheConnectionAfterWhatCameBefore) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  std::string endless;
  AppendFrameHead("", "", 80 << 20, &endless);
  harness.Send(*connection, Hello() + PutFrame(1, "k", "v") + endless + PutFrame(2, "l", "v"));
  const std::vector<Answer> answers = connection->answers();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[1].response.id(), 1u);
  EXPECT_EQ(LastWord(*connection),
            "RESOURCE_EXHAUSTED: a frame with a payload of 83886080 bytes; at most 83886080 are "
            "allowed in all");
  // What still comes is thrown away.
  const size_t read = connection->wire->read;
  harness.Send(*connection, std::string(100000, 'x'));
  EXPECT_EQ(connection->wire->read, read + 100000);
  EXPECT_TRUE(connection->wire->to_read.empty());
  harness.loop().Advance(absl::Seconds(3));
  EXPECT_TRUE(connection->over());
  EXPECT_FALSE(harness.store().Get("l")->has_value());
}

TEST(SessionTest, WrongRequestsAreRefusedOneByOne) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  harness.Send(*connection, Hello());
  const auto code = [&](const std::string& frame) {
    harness.Send(*connection, frame);
    return Code(connection->answers().back());
  };
  Request get = NewRequest(1, GET);
  get.add_key_sizes(3);
  EXPECT_EQ(code(ToFrame(get, "ab")), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(ToFrame(get, "abcd")), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(ToFrame(NewRequest(2, WRITE))), absl::StatusCode::kInvalidArgument);
  Request write = NewRequest(3, WRITE);
  write.mutable_write()->add_mutations()->set_kind(77);
  EXPECT_EQ(code(ToFrame(write)), absl::StatusCode::kInvalidArgument);
  write.mutable_write()->mutable_mutations(0)->set_kind(0);
  write.mutable_write()->mutable_mutations(0)->set_expiry(3);
  EXPECT_EQ(code(ToFrame(write)), absl::StatusCode::kInvalidArgument);
  Request scan = NewRequest(4, SCAN);
  scan.mutable_scan()->add_slots(1);
  EXPECT_EQ(code(ToFrame(scan)), absl::StatusCode::kInvalidArgument);
  scan.mutable_scan()->add_slots(70000);
  EXPECT_EQ(code(ToFrame(scan)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(ToFrame(NewRequest(5, static_cast<Operation>(99)))),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(code(GetFrame(6, "k")), absl::StatusCode::kOk);
  // No request at all: the connection's end.
  EXPECT_EQ(code(ToFrame(NewRequest(0, PING))), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(LastWord(*connection), "INVALID_ARGUMENT: a request with id 0");
}

TEST(SessionTest, AHeaderThatIsNoMessageEndsTheConnection) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  std::string bytes = Hello();
  AppendFrameHead("\xff\xff\xff", "", 0, &bytes);
  harness.Send(*connection, bytes);
  EXPECT_EQ(LastWord(*connection),
            "INVALID_ARGUMENT: a frame's header of 3 bytes is no Request message");
}

TEST(SessionTest, ARepeatedWriteIsAppliedOnce) {
  SessionHarness harness;
  auto first = harness.Connect();
  const auto put_if_absent = [](uint64_t id, uint64_t sequence, uint64_t first_unacknowledged) {
    Request request = NewRequest(id, WRITE);
    Write* const write = request.mutable_write();
    write->set_sequence(sequence);
    write->set_first_unacknowledged(first_unacknowledged);
    write->set_atomic(true);
    write->add_mutations()->set_key_size(1);
    write->add_preconditions()->set_key_size(1);
    return ToFrame(request, "kk");
  };
  harness.Send(*first, Hello() + put_if_absent(1, 1, 1));
  EXPECT_EQ(Code(first->answers().back()), absl::StatusCode::kOk);
  first->wire->broken = true;
  harness.Move(*first);
  EXPECT_TRUE(first->over());
  // On another connection, and under another id: the old answer. A new write
  // with the same condition fails.
  const auto second = harness.Connect();
  harness.Send(*second, Hello() + put_if_absent(2, 1, 1) + put_if_absent(3, 2, 1));
  EXPECT_EQ(second->answers()[1].response.id(), 2u);
  EXPECT_EQ(Code(second->answers()[1]), absl::StatusCode::kOk);
  EXPECT_EQ(Code(second->answers()[2]), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(second->answers()[2].response.write().failed_precondition(), 1u);
  // Its failure is answered again too, and what was acknowledged is forgotten.
  harness.Send(*second, put_if_absent(4, 2, 2) + put_if_absent(5, 1, 2));
  EXPECT_EQ(Code(second->answers()[3]), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Code(second->answers()[4]), absl::StatusCode::kDeadlineExceeded);
  // Another client's numbers are its own.
  const auto other = harness.Connect();
  harness.Send(*other, Hello("other") + put_if_absent(1, 1, 1));
  EXPECT_EQ(Code(other->answers()[1]), absl::StatusCode::kFailedPrecondition);
}

TEST(SessionTest, ARepetitionWaitsForTheWriteUnderWay) {
  SessionHarness harness({}, Blocking());
  auto first = harness.Connect();
  harness.Send(*first, Hello() + PutFrame(1, "k", "v", 1, 1));
  first->wire->broken = true;
  harness.Move(*first);
  EXPECT_TRUE(first->over());
  const auto second = harness.Connect();
  harness.Send(*second, Hello() + PutFrame(2, "k", "v", 1, 1));
  EXPECT_EQ(second->answers().size(), 1u);
  EXPECT_EQ(harness.held().held.size(), 1u);  // the first one's, still
  harness.held().RunHeld();
  harness.Move(*second);
  ASSERT_EQ(second->answers().size(), 2u);
  EXPECT_EQ(second->answers()[1].response.id(), 2u);
  EXPECT_TRUE(harness.held().held.empty());
  EXPECT_EQ(**harness.store().Get("k"), "v");
}

TEST(SessionTest, TheSequenceOfWhatIsNoWriteMeansNothing) {
  SessionHarness harness({}, Blocking());
  const auto connection = harness.Connect();
  Request get = NewRequest(1, GET);
  get.mutable_write()->set_sequence(1);
  std::string bytes = Hello() + ToFrame(get);
  get.set_id(2);
  harness.Send(*connection, bytes + ToFrame(get));
  harness.held().RunHeld();
  harness.Move(*connection);
  EXPECT_EQ(connection->answers().size(), 3u);
}

TEST(SessionTest, AnswersMayComeInAnyOrder) {
  SessionHarness harness({}, Blocking());
  const auto connection = harness.Connect();
  harness.Send(*connection, Hello() + GetFrame(1, "a") + GetFrame(2, "b") + GetFrame(3, "c"));
  std::swap(harness.held().held[0], harness.held().held[2]);
  harness.held().RunHeld();
  harness.Move(*connection);
  std::vector<uint64_t> ids;
  for (const Answer& answer : connection->answers()) ids.push_back(answer.response.id());
  EXPECT_EQ(ids, (std::vector<uint64_t>{0, 3, 2, 1}));
}

TEST(SessionTest, WhatIsAnsweredIsCounted) {
  for (const bool blocking : {false, true}) {
    ProtocolMetrics metrics("native");
    NativeServerOptions options;
    options.metrics = &metrics;
    SessionHarness harness(options, blocking ? Blocking() : ModelCapabilities());
    const auto connection = harness.Connect();
    const std::string sent = Hello() + PutFrame(1, "a", "1") + GetFrame(2, "a") +
                             GetFrame(3, "none") + ToFrame(NewRequest(4, RENEW)) +
                             ToFrame(NewRequest(5, PING));
    harness.Send(*connection, sent);
    if (blocking) harness.held().RunHeld();
    harness.Move(*connection);
    const ProtocolStats stats = metrics.Collect();
    EXPECT_EQ(stats.counts.requests, 5u);
    EXPECT_EQ(stats.counts.errors, 1u) << "the lease that is not there";
    EXPECT_EQ(stats.counts.hits, 1u);
    EXPECT_EQ(stats.counts.misses, 1u);
    EXPECT_EQ(stats.counts.bytes_in, sent.size());
    EXPECT_EQ(stats.counts.bytes_out, connection->wire->written.size());
    EXPECT_EQ(stats.latency.count(), 5u);
  }
}

TEST(SessionTest, RequestsInFlightAreLimited) {
  NativeServerOptions options;
  options.max_in_flight = 2;
  SessionHarness harness(options, Blocking());
  const auto connection = harness.Connect();
  std::string bytes = Hello();
  for (uint64_t id = 1; id <= 5; ++id) bytes += GetFrame(id, "k");
  harness.Send(*connection, bytes);
  EXPECT_EQ(harness.held().held.size(), 2u);
  const size_t read = connection->wire->read;
  harness.Send(*connection, GetFrame(6, "k"));
  EXPECT_EQ(connection->wire->read, read);  // it is not even read
  for (int i = 0; i < 3; ++i) {
    harness.held().RunHeld();
    harness.Move(*connection);
  }
  EXPECT_EQ(connection->answers().size(), 7u);
}

TEST(SessionTest, WhoDoesNotReadIsNotReadFrom) {
  NativeServerOptions options;
  options.max_output_bytes = 100000;
  options.idle_timeout = absl::Minutes(1);
  SessionHarness harness(options);
  ASSERT_TRUE(harness.store().Put("k", std::string(10000, 'v')).ok());
  const auto connection = harness.Connect();
  harness.Send(*connection, Hello());
  connection->wire->takes_writes = false;
  for (uint64_t id = 1; id <= 1000; ++id) harness.Send(*connection, GetFrame(id, "k"));
  EXPECT_LT(connection->wire->read, 1000u);
  EXPECT_FALSE(connection->wire->to_read.empty());
  connection->wire->takes_writes = true;
  for (int i = 0; i < 200; ++i) harness.Move(*connection);
  EXPECT_EQ(connection->answers().size(), 1001u);
  // One who never reads goes.
  connection->wire->takes_writes = false;
  harness.Send(*connection, GetFrame(1, "k"));
  harness.loop().Advance(absl::Minutes(3));
  EXPECT_TRUE(connection->over());
}

TEST(SessionTest, HelloAndIdleTimesAreLimited) {
  NativeServerOptions options;
  options.hello_timeout = absl::Seconds(1);
  options.idle_timeout = absl::Seconds(10);
  SessionHarness harness(options);
  const auto silent = harness.Connect();
  const auto idle = harness.Connect();
  const auto busy = harness.Connect();
  harness.Send(*idle, Hello());
  harness.Send(*busy, Hello());
  for (int i = 1; i < 30; ++i) {
    harness.loop().Advance(absl::Seconds(1));
    harness.Send(*busy, GetFrame(static_cast<uint64_t>(i), "k"));
  }
  EXPECT_EQ(LastWord(*silent), "UNAVAILABLE: no hello came within 1s");
  EXPECT_EQ(LastWord(*idle), "UNAVAILABLE: nothing was asked for 10s");
  EXPECT_TRUE(silent->over());
  EXPECT_TRUE(idle->over());
  EXPECT_FALSE(busy->over());
}

TEST(SessionTest, DrainAnswersWhatWasReadAndNoMore) {
  SessionHarness harness({}, Blocking());
  const auto connection = harness.Connect();
  harness.Send(*connection, Hello() + PutFrame(1, "a", "1") + PutFrame(2, "b", "2"));
  connection->session->Drain();
  harness.Send(*connection, PutFrame(3, "c", "3"));
  EXPECT_FALSE(connection->over());
  harness.held().RunHeld();
  harness.Move(*connection);
  const std::vector<Answer> answers = connection->answers();
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_EQ(answers[2].response.id(), 2u);
  EXPECT_EQ(LastWord(*connection),
            "UNAVAILABLE: the server is shutting down; what it has not answered it has not done");
  EXPECT_TRUE(connection->wire->write_ended);
  harness.End(*connection);
  EXPECT_TRUE(connection->over());
  EXPECT_FALSE(harness.store().Get("c")->has_value());
}

TEST(SessionTest, DrainOfAQuietConnectionEndsItAtOnce) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  const auto without_hello = harness.Connect();
  harness.Send(*connection, Hello());
  connection->session->Drain();
  without_hello->session->Drain();
  harness.loop().Run();
  EXPECT_TRUE(connection->wire->write_ended);
  EXPECT_TRUE(without_hello->wire->write_ended);
  harness.loop().Advance(absl::Seconds(5));  // the peers do not care
  EXPECT_TRUE(connection->over());
  EXPECT_TRUE(without_hello->over());
}

TEST(SessionTest, ASessionMayGoWhileItsCallsRun) {
  SessionHarness harness({}, Blocking());
  const auto connection = harness.Connect();
  harness.Send(*connection, Hello() + PutFrame(1, "a", "1", 1, 1) + GetFrame(2, "a"));
  connection->session.reset();
  harness.held().RunHeld();
  harness.loop().Run();
  EXPECT_EQ(**harness.store().Get("a"), "1");
}

TEST(SessionTest, AnOverloadedServerSaysSoAndAppliesNothing) {
  SessionHarness harness({}, Blocking());
  const auto connection = harness.Connect();
  harness.held().full_ = true;
  harness.Send(*connection, Hello() + PutFrame(1, "a", "1", 1, 1));
  EXPECT_EQ(Code(connection->answers()[1]), absl::StatusCode::kUnavailable);
  harness.held().full_ = false;
  harness.Send(*connection, PutFrame(2, "a", "1", 1, 1));  // not a repetition
  harness.held().RunHeld();
  harness.Move(*connection);
  EXPECT_EQ(Code(connection->answers()[2]), absl::StatusCode::kOk);
}

TEST(SessionTest, SnapshotsEndWithTheirLeases) {
  ManualClock clock;
  NativeServerOptions options;
  options.clock = &clock;
  options.snapshot_lease = absl::Hours(1);  // the background thread looks rarely
  options.max_snapshots = 2;
  SessionHarness harness(options);
  ASSERT_TRUE(harness.store().Put("k", "old").ok());
  const auto connection = harness.Connect();
  harness.Send(*connection, Hello() + ToFrame(NewRequest(1, SNAPSHOT)));
  const uint64_t snapshot = connection->answers().back().response.snapshot();
  EXPECT_EQ(connection->answers().back().response.lease_ms(), 3600000u);
  ASSERT_TRUE(harness.store().Put("k", "new").ok());
  const auto ask = [&](Operation operation) {
    Request request = NewRequest(2, operation);
    request.set_snapshot(snapshot);
    if (operation == GET) request.add_key_sizes(1);
    harness.Send(*connection, ToFrame(request, operation == GET ? "k" : ""));
    return connection->answers().back();
  };
  EXPECT_EQ(ask(GET).payload, "old");
  clock.Advance(absl::Minutes(40));
  EXPECT_EQ(Code(ask(RENEW)), absl::StatusCode::kOk);
  clock.Advance(absl::Minutes(40));
  EXPECT_EQ(ask(GET).payload, "old");
  clock.Advance(absl::Minutes(30));
  EXPECT_EQ(Code(ask(GET)), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Code(ask(RENEW)), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Code(ask(RELEASE)), absl::StatusCode::kOk);
  EXPECT_EQ(Code(ask(SNAPSHOT)), absl::StatusCode::kOk);
  EXPECT_EQ(Code(ask(SNAPSHOT)), absl::StatusCode::kOk);
  EXPECT_EQ(Code(ask(SNAPSHOT)), absl::StatusCode::kResourceExhausted);
}

TEST(SessionTest, TooLargeAnAnswerIsTheErrorOfTheKeysBehindIt) {
  NativeServerOptions options;
  options.max_answer_bytes = 1 << 20;
  Capabilities has = ModelCapabilities();
  has.atomic_multi_get = false;
  SessionHarness harness(options, has);
  ASSERT_TRUE(harness.store().Put("k", std::string(10000, 'v')).ok());
  const auto connection = harness.Connect();
  Request get = NewRequest(1, GET);
  std::string keys(1000, 'k');
  for (int i = 0; i < 1000; ++i) get.add_key_sizes(1);
  harness.Send(*connection, Hello() + ToFrame(get, keys));
  size_t values = 0;
  size_t errors = 0;
  size_t asked = 0;
  for (const Answer& answer : connection->answers()) {
    values += answer.payload.size() / 10000;
    errors += static_cast<size_t>(answer.response.errors_size());
    asked += static_cast<size_t>(answer.response.value_sizes_size());
    EXPECT_EQ(answer.response.more(), asked > 0 && asked < 1000);
  }
  EXPECT_EQ(asked, 1000u);
  EXPECT_EQ(values + errors, 1000u);
  EXPECT_LE(values, 512u);
  EXPECT_GE(values, 100u);
}

}  // namespace
}  // namespace native
}  // namespace kvarts
