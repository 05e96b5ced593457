#include "bench/workload.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/arrivals.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kDraws = 200'000;

// Pearson's statistic, over how many more than expected it usually is at most:
// a right generator is below 1 except once in some 10,000 seeds.
double Surprise(const std::vector<double>& expected, const std::vector<uint64_t>& seen) {
  double chi = 0;
  for (size_t i = 0; i < seen.size(); ++i) {
    const double off = static_cast<double>(seen[i]) - expected[i];
    chi += off * off / expected[i];
  }
  const double freedom = static_cast<double>(seen.size() - 1);
  return chi / (freedom + 4 * std::sqrt(2 * freedom));
}

std::vector<double> ZipfExpected(size_t n, double theta) {
  std::vector<double> out;
  double sum = 0;
  for (size_t i = 1; i <= n; ++i) out.push_back(std::pow(static_cast<double>(i), -theta));
  for (const double p : out) sum += p;
  for (double& p : out) p *= kDraws / sum;
  return out;
}

TEST(BenchDataTest, IsWhatItWasForEarlierFiles) {
  EXPECT_EQ(BenchUuid(0), "e220a839-7b1d-4daf-910a-2dec89025cc1");
  EXPECT_EQ(BenchUuid(1), "975835de-1c97-46ce-9d0b-14e4db018fed");
  EXPECT_EQ(BenchUuid(123456789012345), "6f3719a2-fe13-48cf-bade-cbe92d0a65cb");
  EXPECT_EQ(BenchValue(7, 0), "");
  EXPECT_EQ(BenchValue(7, 1), "[");
  EXPECT_EQ(BenchValue(7, 20), "[@28D\\E]'D]P;.\\2!S=:");
}

TEST(BenchDataTest, AValueIsKnownFromAnyOther) {
  for (size_t size = 0; size < 40; ++size) {
    std::string value = BenchValue(5, size);
    EXPECT_TRUE(IsBenchValue(5, value)) << size;
    EXPECT_EQ(IsBenchValue(6, value), size == 0);
    for (char& c : value) {
      c ^= 0x40;
      EXPECT_FALSE(IsBenchValue(5, value)) << size;
      c ^= 0x40;
    }
  }
}

TEST(DistributionTest, UniformKeysComeEquallyOften) {
  const Distribution uniform(Distribution::Kind::kUniform, 0.99, 1000);
  BenchRandom random(1, 0);
  std::vector<uint64_t> seen(1000);
  for (int i = 0; i < kDraws; ++i) ++seen[uniform.Choose(1000, &random)];
  EXPECT_LT(Surprise(std::vector<double>(1000, kDraws / 1000.0), seen), 1);
}

TEST(DistributionTest, ZipfRanksComeAsOftenAsTheFormulaSays) {
  for (const double theta : {0.0, 0.5, 0.99, 1.0, 1.0000001, 1.5, 3.0}) {
    for (const size_t n : {2, 3, 10, 100}) {
      const ZipfRanks ranks(n, theta);
      BenchRandom random(2, n);
      std::vector<double> expected = ZipfExpected(n, theta);
      std::vector<uint64_t> seen(n);
      for (int i = 0; i < kDraws; ++i) ++seen[ranks.Choose(&random)];
      // What is hardly expected at all is counted together.
      while (expected.size() > 2 && expected.back() < 10) {
        expected[expected.size() - 2] += expected.back();
        seen[seen.size() - 2] += seen.back();
        expected.pop_back();
        seen.pop_back();
      }
      EXPECT_LT(Surprise(expected, seen), 1) << "theta " << theta << ", n " << n;
    }
  }
}

TEST(DistributionTest, ZipfOfManyRanksHasTheirHeadAndTheirTail) {
  const uint64_t n = 100'000'000;
  const ZipfRanks ranks(n, 0.99);
  BenchRandom random(3, 0);
  int first = 0;
  int upper_half = 0;
  for (int i = 0; i < kDraws; ++i) {
    const uint64_t rank = ranks.Choose(&random);
    ASSERT_LT(rank, n);
    first += rank == 0 ? 1 : 0;
    upper_half += rank >= n / 2 ? 1 : 0;
  }
  // Sums by Euler and Maclaurin: H(n) = zeta(0.99) + n^0.01 / 0.01.
  const auto sum = [](double x) { return -99.4235 + std::pow(x, 0.01) / 0.01; };
  const double all = sum(static_cast<double>(n));
  EXPECT_NEAR(first, kDraws / all, 5 * std::sqrt(kDraws / all));
  const double tail = kDraws * (all - sum(static_cast<double>(n) / 2)) / all;
  EXPECT_NEAR(upper_half, tail, 5 * std::sqrt(tail));
}

TEST(DistributionTest, ASingleRecordIsAlwaysChosen) {
  BenchRandom random(1, 0);
  for (const auto kind :
       {Distribution::Kind::kUniform, Distribution::Kind::kZipf, Distribution::Kind::kLatest}) {
    const Distribution one(kind, 0.99, 1);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(one.Choose(1, &random), 0u);
  }
}

TEST(DistributionTest, ScatteringIsAPermutationThatSetsNeighboursApart) {
  for (const uint64_t n : {1, 2, 3, 4, 5, 6, 12, 100, 1000, 1009, 65536}) {
    const Scatter scatter(n);
    std::set<uint64_t> seen;
    for (uint64_t i = 0; i < n; ++i) seen.insert(scatter(i));
    EXPECT_EQ(seen.size(), n);
    EXPECT_LT(*seen.rbegin(), n);
    if (n < 100) continue;
    const uint64_t apart = scatter(1) > scatter(0) ? scatter(1) - scatter(0) : n;
    EXPECT_GT(std::min(apart, n - apart), n / 4);
  }
}

TEST(DistributionTest, TheLatestComesMostOften) {
  const Distribution latest(Distribution::Kind::kLatest, 0.99, 100);
  BenchRandom random(4, 0);
  std::vector<uint64_t> seen(150);
  for (int i = 0; i < kDraws; ++i) ++seen[latest.Choose(150, &random)];
  EXPECT_EQ(std::max_element(seen.begin(), seen.end()), seen.end() - 1);
  EXPECT_GT(seen[149], 10 * seen[100]);
  EXPECT_EQ(std::count(seen.begin(), seen.begin() + 50, 0), 50);  // ranks of 100 records
}

TEST(DistributionTest, NamesAreReadBack) {
  EXPECT_EQ(*ParseDistribution("zipf"), Distribution::Kind::kZipf);
  EXPECT_EQ(*ParseDistribution("latest"), Distribution::Kind::kLatest);
  EXPECT_EQ(ParseDistribution("pareto").status().message(),
            "\"pareto\" is no distribution; expected uniform, zipf or latest");
}

TEST(KeySetTest, AListHasItsKeysInTheirOrder) {
  KeySet::Builder builder;
  for (const char* key : {"a", "longer", "", "b"}) builder.Add(key);
  const KeySet keys = std::move(builder).Build();
  char scratch[kBenchUuidBytes];
  ASSERT_EQ(keys.size(), 4u);
  EXPECT_FALSE(keys.made());
  EXPECT_EQ(keys.Key(0, scratch), "a");
  EXPECT_EQ(keys.Key(1, scratch), "longer");
  EXPECT_EQ(keys.Key(2, scratch), "");
  EXPECT_EQ(keys.Key(3, scratch), "b");
  EXPECT_EQ(keys.Key(4, scratch).size(), kBenchUuidBytes);  // inserted
}

TEST(KeySetTest, ALongListIsThinnedOutEvenlyToItsBound) {
  KeySet::Builder builder(10'000);
  for (int i = 0; i < 100'000; ++i) builder.Add(absl::StrCat(1'000'000 + i));
  EXPECT_EQ(builder.added(), 100'000u);
  const KeySet keys = std::move(builder).Build();
  // 11 bytes each: between half the bound and all of it.
  EXPECT_GT(keys.size(), 10'000u / 11 / 2 - 2);
  EXPECT_LE(keys.size(), 10'000u / 11);
  char scratch[kBenchUuidBytes];
  for (uint64_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(keys.Key(i, scratch), absl::StrCat(1'000'000 + 128 * i));
  }
}

TEST(KeySetTest, InsertedAndAbsentKeysAreNoneOfTheSet) {
  const KeySet made(1000);
  char scratch[kBenchUuidBytes];
  std::set<std::string> seen;
  for (uint64_t i = 0; i < 2000; ++i) seen.emplace(made.Key(i, scratch));
  for (uint64_t i = 0; i < 1000; ++i) seen.emplace(KeySet::Absent(i, scratch));
  EXPECT_EQ(seen.size(), 3000u);
  EXPECT_TRUE(made.made());
}

TEST(MixTest, WeightsArePartsOfTheirSum) {
  EXPECT_THAT(*ParseMix("get:95,put:5"), ElementsAre(0.95, 0, 0.05, 0, 0, 0));
  EXPECT_THAT(*ParseMix("mget:1,insert:1,delete:1,scan:1,get:0"),
              ElementsAre(0, 0.25, 0, 0.25, 0.25, 0.25));
}

TEST(MixTest, WhatIsWrongIsQuoted) {
  for (const auto& [text, says] :
       std::map<std::string, std::string>{{"", "\"\": expected OPERATION:WEIGHT"},
                                          {"got:1", "\"got:1\": expected OPERATION:WEIGHT"},
                                          {"get", "\"get\": expected a number"},
                                          {"get:", "\"get:\": expected a number"},
                                          {"get:-1", "\"get:-1\": expected a number"},
                                          {"get:nan", "\"get:nan\": expected a number"},
                                          {"get:inf", "\"get:inf\": expected a number"},
                                          {"get:1,", "\"\": expected OPERATION:WEIGHT"},
                                          {"get:1,get:2", "has get twice"},
                                          {"get:0,put:0", "all weights are 0"}}) {
    const absl::StatusOr<OperationMix> mix = ParseMix(text);
    ASSERT_FALSE(mix.ok()) << text;
    EXPECT_THAT(std::string(mix.status().message()), HasSubstr(says));
  }
}

TEST(ArrivalsTest, FixedOnesComeAtTheirTimes) {
  Arrivals::Options options;
  options.rate = 3;
  options.poisson = false;
  options.start_ns = 100;
  options.end_ns = 100 + 1'000'000'001;
  Arrivals arrivals(options);
  EXPECT_EQ(arrivals.Next(), 100);
  EXPECT_EQ(arrivals.Next(), 100 + 333'333'333);
  EXPECT_EQ(arrivals.Next(), 100 + 666'666'666);
  EXPECT_EQ(arrivals.Next(), 100 + 1'000'000'000);
  EXPECT_EQ(arrivals.Next(), std::nullopt);
  EXPECT_EQ(arrivals.Next(), std::nullopt);
}

TEST(ArrivalsTest, PoissonGapsAreExponential) {
  Arrivals::Options options;
  options.rate = 1000;
  Arrivals arrivals(options);
  std::vector<uint64_t> seen(10);
  int64_t last = 0;
  for (int i = 0; i < kDraws; ++i) {
    const int64_t due = *arrivals.Next();
    // As parts of all gaps that are shorter, which are uniform.
    const double part = 1 - std::exp(-static_cast<double>(due - last) / 1e6);
    ++seen[std::min<size_t>(static_cast<size_t>(part * 10), 9)];
    last = due;
  }
  EXPECT_LT(Surprise(std::vector<double>(10, kDraws / 10.0), seen), 1);
  EXPECT_NEAR(static_cast<double>(last), kDraws * 1e6, 5 * std::sqrt(kDraws) * 1e6);
}

TEST(ArrivalsTest, TheNumberOfRequestsIsOfThoseBehindTheWarmUp) {
  Arrivals::Options options;
  options.rate = 10;
  options.poisson = false;
  options.count_from_ns = 500'000'000;
  options.requests = 3;
  Arrivals arrivals(options);
  int given = 0;
  while (arrivals.Next().has_value()) ++given;
  EXPECT_EQ(given, 5 + 3);
}

TEST(WorkloadTest, OperationsAndMissesComeAsOftenAsAskedFor) {
  const KeySet keys(1000);
  WorkloadOptions options;
  options.mix = *ParseMix("get:50,mget:10,put:20,delete:10,scan:10");
  options.miss = 0.25;
  options.batch = 7;
  Workload workload(&keys, options);
  RequestSource source(&workload, 0);
  std::vector<uint64_t> seen(kOperations);
  uint64_t read = 0;
  uint64_t absent = 0;
  for (int i = 0; i < kDraws; ++i) {
    const BenchRequest& request = source.Next();
    ++seen[static_cast<size_t>(request.operation)];
    ASSERT_EQ(request.keys.size(), request.records.size());
    ASSERT_EQ(request.keys.size(), request.operation == Operation::kMultiGet ? 7u : 1u);
    const bool reads =
        request.operation == Operation::kGet || request.operation == Operation::kMultiGet;
    for (size_t k = 0; k < request.keys.size(); ++k) {
      const uint64_t record = request.records[k];
      if (record == BenchRequest::kAbsentRecord) {
        ASSERT_TRUE(reads);
        ++absent;
      } else {
        ASSERT_EQ(request.keys[k], BenchUuid(record));
      }
      read += reads ? 1 : 0;
    }
    if (request.operation == Operation::kPut) {
      ASSERT_EQ(request.value, BenchValue(request.records[0], 64));
    }
  }
  EXPECT_EQ(seen[static_cast<size_t>(Operation::kInsert)], 0u);
  seen.erase(seen.begin() + static_cast<int>(Operation::kInsert));
  EXPECT_LT(Surprise({kDraws * .5, kDraws * .1, kDraws * .2, kDraws * .1, kDraws * .1}, seen), 1);
  const double expected = static_cast<double>(read) * 0.25;
  EXPECT_NEAR(static_cast<double>(absent), expected, 5 * std::sqrt(expected));
}

TEST(WorkloadTest, InsertsAreNewRecordsOfAllSources) {
  const KeySet keys(10);
  WorkloadOptions options;
  options.mix = *ParseMix("insert:1");
  Workload workload(&keys, options);
  RequestSource one(&workload, 0);
  RequestSource two(&workload, 1);
  std::vector<uint64_t> records;
  for (int i = 0; i < 3; ++i) {
    records.push_back(one.Next().records[0]);
    records.push_back(two.Next().records[0]);
  }
  EXPECT_THAT(records, ElementsAre(10, 11, 12, 13, 14, 15));
}

TEST(WorkloadTest, LatestFollowsTheInsertsThatWereApplied) {
  const KeySet keys(1);
  WorkloadOptions options;
  options.distribution = Distribution::Kind::kLatest;
  Workload workload(&keys, options);
  RequestSource source(&workload, 0);
  EXPECT_EQ(source.Next().records[0], 0u);
  workload.Inserted();
  EXPECT_EQ(source.Next().records[0], 1u);
}

TEST(WorkloadTest, ASeedRepeatsItsRequestsAndStreamsDiffer) {
  const KeySet keys(1'000'000);
  Workload workload(&keys, WorkloadOptions());
  const auto records = [&workload](uint64_t stream) {
    RequestSource source(&workload, stream);
    std::vector<uint64_t> out;
    for (int i = 0; i < 100; ++i) out.push_back(source.Next().records[0]);
    return out;
  };
  EXPECT_EQ(records(1), records(1));
  EXPECT_NE(records(1), records(2));
}

}  // namespace
}  // namespace kvarts
