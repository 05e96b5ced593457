// What a store promises to who must not wait: Submit(), ReadOptions::no_wait; and how large a
// batch may be, so that nobody has to try.

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "testing/conformance/store_suite_internal.h"

namespace kvarts::store_suite {
namespace {

using absl::StatusCode;

// Thread-safe. Notes what submitted batches ended with. Must outlive them.
class Ends {
 public:
  Store::WriteDone Next() {
    MutexLock lock(&mu_);
    ends_.push_back({});
    return [this, i = ends_.size() - 1](absl::Status status) {
      MutexLock done(&mu_);
      ++ends_[i].calls;
      ends_[i].status = std::move(status);
      changed_.SignalAll();
    };
  }
  // Returns when all have ended.
  void Await() {
    MutexLock lock(&mu_);
    for (const End& end : ends_) {
      while (end.calls == 0) changed_.Wait(&mu_);
    }
  }
  absl::Status StatusOf(size_t i) const {
    MutexLock lock(&mu_);
    return ends_[i].status;
  }
  // How often `done` was called for each.
  std::vector<int> Calls() const {
    MutexLock lock(&mu_);
    std::vector<int> calls;
    for (const End& end : ends_) calls.push_back(end.calls);
    return calls;
  }

 private:
  struct End {
    int calls = 0;
    absl::Status status;
  };
  mutable Mutex mu_;
  CondVar changed_;
  std::vector<End> ends_ ABSL_GUARDED_BY(mu_);
};

absl::Status SubmitAndWait(Store& store, const WriteBatch& batch, const WriteOptions& options,
                           WriteResults* results) {
  Ends ends;
  store.Submit(batch, options, results, ends.Next());
  ends.Await();
  EXPECT_EQ(ends.Calls(), std::vector<int>{1});
  return ends.StatusOf(0);
}

void SubmitGivesWhatWriteGives(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const Records records = {{"there", "1"}, {"replaced", "2"}};
  const auto submitted = t.Open(records);
  const auto written = t.Open(records);
  WriteOptions options;
  options.report_existed = true;
  const std::string long_key(kMaxKeyBytes + 1, 'k');
  for (const bool atomic : {false, true}) {
    if (atomic && t.has().batch_scope != BatchScope::kStore) continue;
    options.atomic = atomic;
    WriteBatch batch;
    batch.Delete("there");
    batch.Put("replaced", "new");
    batch.Put("came", "new");
    batch.Delete("absent");
    for (const bool invalid : {false, true}) {
      if (invalid) batch.Put(long_key, "v");
      WriteResults a;
      WriteResults b;
      const absl::Status of_submit = SubmitAndWait(*submitted, batch, options, &a);
      const absl::Status of_write = written->Write(batch, options, &b);
      EXPECT_EQ(of_submit.code(), of_write.code()) << of_submit << of_write;
      EXPECT_EQ(of_submit.ok(), !invalid);
      ASSERT_EQ(a.results.size(), b.results.size());
      EXPECT_EQ(a.failed_precondition, b.failed_precondition);
      for (size_t i = 0; i < a.results.size(); ++i) {
        EXPECT_EQ(a.results[i].status.code(), b.results[i].status.code()) << i;
        EXPECT_EQ(a.results[i].existed, b.results[i].existed) << i;
      }
      EXPECT_EQ(SubmitAndWait(*submitted, batch, options, nullptr).code(), of_write.code());
      for (const char* key : {"there", "replaced", "came", "absent"}) {
        EXPECT_EQ(ValueOf(*submitted, key), ValueOf(*written, key)) << key;
      }
    }
  }
}

void SubmitUnderConditionsGivesWhatWriteGives(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open({{"k", "v"}});
  WriteBatch batch;
  batch.Put("k", "w");
  batch.RequireUnchanged("k", StampOf(*store, "k"));
  WriteResults results;
  EXPECT_TRUE(SubmitAndWait(*store, batch, Atomic(), &results).ok());
  EXPECT_EQ(SubmitAndWait(*store, batch, Atomic(), &results).code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(results.failed_precondition, 0);
  EXPECT_EQ(ValueOf(*store, "k"), "w");
}

void SubmitToAReadOnlyStoreFails(Tester& t) {
  if (t.Has(&Capabilities::write)) GTEST_SKIP() << "the store can be written";
  const auto store = t.Open();
  WriteBatch batch;
  batch.Put("k", "v");
  WriteResults results;
  EXPECT_EQ(SubmitAndWait(*store, batch, {}, &results).code(), StatusCode::kFailedPrecondition);
  ASSERT_EQ(results.results.size(), 1u);
  EXPECT_EQ(results.results[0].status.code(), StatusCode::kFailedPrecondition);
}

void SubmitAfterCloseFails(Tester& t) {
  const auto store = t.Open();
  EXPECT_TRUE(store->Close().ok());
  WriteBatch batch;
  batch.Put("k", "v");
  WriteResults results;
  EXPECT_EQ(SubmitAndWait(*store, batch, {}, &results).code(), StatusCode::kFailedPrecondition);
  ASSERT_EQ(results.results.size(), 1u);
  EXPECT_EQ(results.results[0].status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(SubmitAndWait(*store, {}, {}, nullptr).code(), store->Write({}, {}, nullptr).code());
}

void SubmitsAndWritesOfAThreadTakeEffectInTheOrderOfTheirCalls(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  constexpr int kCalls = 300;
  const auto store = t.Open();
  std::vector<std::string> values;
  for (int i = 0; i < kCalls; ++i) values.push_back(absl::StrCat(i));
  std::vector<WriteBatch> batches(kCalls);
  std::vector<WriteResults> results(kCalls);
  WriteOptions options;
  options.report_existed = true;
  Ends ends;
  for (int i = 0; i < kCalls; ++i) {
    const absl::string_view key = i % 2 == 0 ? "even" : "odd";
    // Every tenth batch deletes what is to be there, so that `existed` tells of the order.
    i % 10 >= 8 ? batches[i].Delete(key) : batches[i].Put(key, values[i]);
    if (i % 7 == 0) {
      EXPECT_TRUE(store->Write(batches[i], options, &results[i]).ok());
    } else {
      store->Submit(batches[i], options, &results[i], ends.Next());
    }
  }
  ends.Await();
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_TRUE(results[i].results[0].status.ok());
    EXPECT_EQ(results[i].results[0].existed, i % 10 >= 2) << i;
  }
  EXPECT_EQ(ValueOf(*store, "even"), kAbsent);
  EXPECT_EQ(ValueOf(*store, "odd"), kAbsent);
}

void AStoreThatIsDestroyedHasEndedWhatWasSubmitted(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  auto store = t.Open();
  std::vector<WriteBatch> batches(50);
  std::vector<std::string> keys;
  for (size_t i = 0; i < batches.size(); ++i) keys.push_back(absl::StrCat("key", i));
  Ends ends;
  for (size_t i = 0; i < batches.size(); ++i) {
    batches[i].Put(keys[i], "v");
    store->Submit(batches[i], {}, nullptr, ends.Next());
  }
  store.reset();
  EXPECT_EQ(ends.Calls(), std::vector<int>(batches.size(), 1));
}

// Of the keys' values, no more is known than that they are right or not looked at.
void ReadsThatDoNotWaitAreRightOrUnavailable(Tester& t) {
  if (t.Has(&Capabilities::may_block) && !t.Has(&Capabilities::no_wait)) {
    GTEST_SKIP() << "the store may block, and does not say how not to";
  }
  if (t.Has(&Capabilities::no_wait)) t.Proves("no_wait");
  Records records = t.Many(200);
  const auto store = t.Open(records);
  if (t.Has(&Capabilities::write)) {
    for (size_t i = 0; i < records.size(); i += 3) {
      records[i].second = absl::StrCat("new", i);
      EXPECT_TRUE(store->Put(records[i].first, records[i].second).ok());
    }
  }
  ReadOptions options;
  options.no_wait = true;
  std::vector<absl::string_view> keys;
  for (const auto& [key, value] : records) keys.push_back(key);
  keys.push_back("none of them");
  for (int round = 0; round < 3; ++round) {
    ReadResults results;
    store->MultiGet(keys, options, &results);
    ASSERT_EQ(results.size(), keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      const ReadResult& result = results[i];
      if (!result.status.ok()) {
        EXPECT_EQ(result.status.code(), StatusCode::kUnavailable);
        EXPECT_TRUE(t.Has(&Capabilities::may_block)) << "it need not wait";
        EXPECT_FALSE(result.found);
        EXPECT_EQ(ValueOf(*store, keys[i]),
                  i < records.size() ? records[i].second : std::string(kAbsent));
      } else if (i < records.size()) {
        EXPECT_TRUE(result.found) << keys[i];
        EXPECT_EQ(result.value, records[i].second);
      } else {
        EXPECT_FALSE(result.found);
      }
    }
    const Got one = ReadOne(*store, records[0].first, options);
    if (one.status.ok()) {
      EXPECT_EQ(one.value, records[0].second);
    } else {
      EXPECT_EQ(one.status.code(), StatusCode::kUnavailable);
    }
  }
}

// Only where that is soon tried.
constexpr uint64_t kMostMutationsTried = 1 << 18;
constexpr uint64_t kMostBytesTried = 1 << 20;

void TheLargestBatchIsAsDeclared(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const uint64_t most = t.has().max_batch_mutations;
  if (t.has().batch_scope == BatchScope::kNone || most > kMostMutationsTried) {
    GTEST_SKIP() << "there is no limit that is soon tried";
  }
  t.Proves("max_batch_mutations");
  const auto store = t.Open();
  WriteBatch batch;
  for (uint64_t i = 0; i < most; ++i) batch.Put("k", "");
  EXPECT_TRUE(WriteAtomic(*store, batch).ok());
  batch.Put("k", "beyond");
  WriteResults results;
  EXPECT_EQ(WriteAtomic(*store, batch, &results).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(results.results.size(), batch.mutations().size());
  EXPECT_EQ(ValueOf(*store, "k"), "") << "nothing of it was done";
  EXPECT_TRUE(store->Write(batch, {}, nullptr).ok()) << "it is one of atomic batches";
}

void TheMostBytesOfABatchAreAsDeclared(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const uint64_t most = t.has().max_batch_bytes;
  if (t.has().batch_scope == BatchScope::kNone || most > kMostBytesTried || most < 2) {
    GTEST_SKIP() << "there is no limit that is soon tried";
  }
  t.Proves("max_batch_bytes");
  const auto store = t.Open();
  const std::string value(most - 1, 'v');
  WriteBatch batch;
  batch.Put("k", value);
  EXPECT_TRUE(WriteAtomic(*store, batch).ok());
  const std::string larger(most, 'w');
  WriteBatch beyond;
  beyond.Put("k", larger);
  EXPECT_EQ(WriteAtomic(*store, beyond).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ValueOf(*store, "k"), value);
}

constexpr bool kAlsoDiscarding = false;  // SuiteTest::needs_entries
constexpr SuiteTest kTests[] = {
    {"SubmitGivesWhatWriteGives", SubmitGivesWhatWriteGives},
    {"SubmitUnderConditionsGivesWhatWriteGives", SubmitUnderConditionsGivesWhatWriteGives},
    {"SubmitToAReadOnlyStoreFails", SubmitToAReadOnlyStoreFails},
    {"SubmitAfterCloseFails", SubmitAfterCloseFails, kAlsoDiscarding},
    {"SubmitsAndWritesOfAThreadTakeEffectInTheOrderOfTheirCalls",
     SubmitsAndWritesOfAThreadTakeEffectInTheOrderOfTheirCalls},
    {"AStoreThatIsDestroyedHasEndedWhatWasSubmitted", AStoreThatIsDestroyedHasEndedWhatWasSubmitted,
     kAlsoDiscarding},
    {"ReadsThatDoNotWaitAreRightOrUnavailable", ReadsThatDoNotWaitAreRightOrUnavailable},
    {"TheLargestBatchIsAsDeclared", TheLargestBatchIsAsDeclared},
    {"TheMostBytesOfABatchAreAsDeclared", TheMostBytesOfABatchAreAsDeclared},
};

}  // namespace

absl::Span<const SuiteTest> SubmitTests() { return kTests; }

}  // namespace kvarts::store_suite
