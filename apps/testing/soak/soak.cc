#include "apps/testing/soak/soak.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/soak/values.h"
#include "bench/bench_data.h"
#include "gtest/gtest.h"

namespace kvarts::soak {
namespace {

// In use at a time; together several times what the cache holds.
constexpr uint64_t kKeys = 40'000;
constexpr uint64_t kHotKeys = 2'000;

}  // namespace

std::string Tally::ToString() const {
  MutexLock lock(&mu_);
  std::string text;
  for (const auto& [what, n] : counts_) absl::StrAppend(&text, "  ", what, ": ", n, "\n");
  return text;
}

bool Soak::goes_on() const { return !stop && !testing::Test::HasFailure(); }

uint64_t AnyKey(Random* random, const Soak& soak) {
  const uint64_t any = (*random)();
  return soak.first_key + (any >> 8) % (any % 2 == 0 ? kHotKeys : kKeys);
}

std::string KeyOf(uint64_t number) {
  return number % 2 == 0 ? BenchUuid(number) : absl::StrCat("key-", number);
}

bool IsLarge(uint64_t number) { return number % 61 == 0; }

size_t SizeFor(uint64_t number, Random* random) {
  const uint64_t any = (*random)();
  if (any % 20 == 0) return 0;
  if (IsLarge(number)) return 4096 + (any >> 8) % (96 << 10);
  return (any >> 8) % (number % 7 == 0 ? 4000 : 200);
}

std::string PairKey(uint64_t pair, char half) {
  return absl::StrCat("pair-", pair, "-", absl::string_view(&half, 1));
}
std::string StayingKey(uint64_t number) { return absl::StrCat("stays-", number); }
std::string CounterKey(uint64_t number) { return absl::StrCat("counter-", number); }

void CheckValue(absl::string_view who, absl::string_view key, bool found, absl::string_view value) {
  if (!found || IsValueOf(key, value)) return;
  ADD_FAILURE() << who << ": the value of " << key
                << " was never written: " << resp_differential::Escaped(value);
}

void CheckPair(absl::string_view who, uint64_t pair, const std::string* a, const std::string* b) {
  if (a == nullptr || b == nullptr) return;
  CheckValue(who, PairKey(pair, 'a'), true, *a);
  CheckValue(who, PairKey(pair, 'b'), true, *b);
  if (testing::Test::HasFailure()) return;
  EXPECT_EQ(VersionOf(*a), VersionOf(*b)) << who << ": half of a batch, pair " << pair;
}

void CheckWritten(const Reply& reply, absl::string_view what, Soak* soak) {
  if (reply.type == '+' && reply.text == "OK") return soak->tally.Add(what);
  if (reply.is_error() && absl::StrContains(reply.text, "OOM ")) {
    return soak->tally.Add("refused: no memory");
  }
  ADD_FAILURE() << what << ": " << reply.type << resp_differential::Escaped(reply.text);
}

bool CheckConnected(const TestSocket& socket, Soak* soak) {
  EXPECT_TRUE(socket.connected());
  if (socket.connected()) soak->tally.Add("connections");
  return socket.connected();
}

}  // namespace kvarts::soak
