#include "net/resp/transaction_store.h"

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/model/manual_clock.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace resp {
namespace {

using Outcome = TransactionStore::Outcome;

class TransactionStoreTest : public testing::Test {
 protected:
  std::unique_ptr<Store> NewStore() {
    ModelStoreOptions options;
    options.clock = &clock_;
    return NewModelStore(options);
  }
  Stamp StampOf(Store* store, const std::string& key) {
    ReadOptions options;
    options.stamp = true;
    ReadResults results;
    store->Read(key, options, &results);
    return results[0].stamp;
  }

  ManualClock clock_;
  const std::unique_ptr<Store> base_ = NewStore();
};

// All there is to read: values, expiries and types, and the keys of a scan.
std::string Contents(Store* store, const std::vector<std::string>& keys) {
  std::string text;
  const std::vector<absl::string_view> views(keys.begin(), keys.end());
  ReadResults results;
  store->MultiGet(views, ReadOptions(), &results);
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_TRUE(results[i].status.ok());
    if (!results[i].found) continue;
    absl::StrAppend(&text, keys[i], "=", results[i].value, " ", results[i].content_type, " ",
                    results[i].expires_at_ms, "\n");
  }
  ScanOptions options;
  options.keys_only = true;
  auto cursor = store->NewCursor(options);
  EXPECT_TRUE(cursor.ok());
  std::map<std::string, int> scanned;
  ScanPage page;
  PageLimits limits;
  limits.entries = 3;
  while ((*cursor)->Next(limits, &page).ok() && !page.empty()) {
    for (const ScanEntry& entry : page) ++scanned[std::string(entry.key)];
  }
  for (const auto& [key, times] : scanned) absl::StrAppend(&text, key, ":", times, " ");
  return absl::StrCat(text, store->Stats()->entries);
}

std::string Outcomes(const absl::Status& status, const WriteResults& results) {
  std::string text =
      absl::StrCat(static_cast<int>(status.code()), " ", results.failed_precondition);
  for (const WriteResult& result : results.results) {
    absl::StrAppend(&text, " ", static_cast<int>(result.status.code()), result.existed);
  }
  return text;
}

// The same calls on a transaction and on a store of its own: all they return is the
// same, and so is the base once the transaction is committed.
TEST_F(TransactionStoreTest, ATransactionIsAStoreAndItsCommitWhatWasDone) {
  std::vector<std::string> keys;
  for (int i = 0; i < 8; ++i) keys.push_back(absl::StrCat("key", i));
  for (int seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(static_cast<unsigned>(seed));
    const auto below = [&](unsigned n) { return static_cast<int>(random() % n); };
    const std::unique_ptr<Store> base = NewStore();
    const std::unique_ptr<Store> direct = NewStore();
    TransactionStore transaction(base.get(), &clock_);
    const auto metadata = [&] {
      Metadata m;
      m.expiry = static_cast<Metadata::Change>(below(3));
      const int64_t now = absl::ToUnixMillis(clock_.Now());
      m.expires_at_ms = below(4) == 0 ? now - 1 : now + 1000 + below(5);
      m.content_type = static_cast<Metadata::Change>(below(3));
      m.type = below(2) == 0 ? "text/plain" : "image/png";
      return m;
    };
    const auto write = [&](const std::vector<Store*>& stores) {
      WriteBatch batch;
      WriteOptions options;
      options.report_existed = below(2) == 0;
      const int mutations = 1 + below(4);
      std::vector<std::string> values;
      for (int i = 0; i < mutations; ++i) values.push_back(absl::StrCat("value", random()));
      for (int i = 0; i < mutations; ++i) {
        const std::string& key = keys[static_cast<size_t>(below(8))];
        switch (below(12)) {
          case 0:
            batch.DeleteRange("", "");
            break;
          case 1:
          case 2:
          case 3:
            batch.Delete(key);
            break;
          case 4:
          case 5:
          case 6:
            batch.Touch(key, metadata());
            break;
          default:
            batch.Put(key, values[static_cast<size_t>(i)], metadata());
        }
      }
      if (below(3) == 0) {
        options.atomic = true;
        const std::string& key = keys[static_cast<size_t>(below(8))];
        below(2) == 0 ? batch.RequireAbsent(key) : batch.RequirePresent(key);
      }
      std::string first;
      for (Store* store : stores) {
        WriteResults results;
        const absl::Status status = store->Write(batch, options, &results);
        if (store == stores[0]) first = Outcomes(status, results);
        EXPECT_EQ(Outcomes(status, results), first);
      }
    };
    for (int i = 0; i < 4; ++i) write({base.get(), direct.get()});
    const int steps = 1 + below(12);
    for (int step = 0; step < steps; ++step) {
      write({&transaction, direct.get()});
      if (below(3) == 0) {
        EXPECT_EQ(Contents(&transaction, keys), Contents(direct.get(), keys));
      }
      const std::string& key = keys[static_cast<size_t>(below(8))];
      for (Store* store : {static_cast<Store*>(&transaction), direct.get()}) {
        const absl::Status modified = store->Modify(
            key, WriteOptions(), [](const ReadResult& old) -> absl::StatusOr<Modification> {
              if (!old.found) return Modification::Nothing();
              return Modification::Put(absl::StrCat(old.value, "+"));
            });
        EXPECT_TRUE(modified.ok()) << modified;
      }
      if (below(5) == 0) clock_.Advance(absl::Milliseconds(1001));
    }
    const absl::StatusOr<Outcome> outcome = transaction.Commit({});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    // What was read may have expired since: then it is to be done again.
    if (*outcome == Outcome::kDone) {
      EXPECT_EQ(Contents(base.get(), keys), Contents(direct.get(), keys));
    }
  }
}

TEST_F(TransactionStoreTest, NothingIsSeenBeforeTheCommit) {
  TransactionStore transaction(base_.get(), &clock_);
  ASSERT_TRUE(transaction.Put("k", "v").ok());
  EXPECT_EQ(*base_->Get("k"), std::nullopt);
  EXPECT_EQ(*transaction.Commit({}), Outcome::kDone);
  EXPECT_EQ(*base_->Get("k"), "v");
}

TEST_F(TransactionStoreTest, WhatWasReadMustBeAsItWas) {
  struct Case {
    const char* name;
    std::function<void(TransactionStore*)> does;
    bool conflicts;
  };
  const std::vector<Case> cases = {
      {"a read", [](TransactionStore* t) { EXPECT_TRUE(t->Get("k").ok()); }, true},
      {"two reads",
       [](TransactionStore* t) {
         EXPECT_TRUE(t->Get("other").ok());
         EXPECT_TRUE(t->Get("k").ok());
       },
       true},
      {"a blind put", [](TransactionStore* t) { EXPECT_TRUE(t->Put("k", "own").ok()); }, false},
      {"a delete that tells", [](TransactionStore* t) { EXPECT_TRUE(t->Delete("k").ok()); }, true},
      {"a put that keeps",
       [](TransactionStore* t) { EXPECT_TRUE(t->Put("k", "own", Metadata::Keep()).ok()); }, true},
      {"another key", [](TransactionStore* t) { EXPECT_TRUE(t->Get("other").ok()); }, false},
      {"a read of its own",
       [](TransactionStore* t) {
         EXPECT_TRUE(t->Put("k", "own").ok());
         EXPECT_TRUE(t->Get("k").ok());
       },
       false},
  };
  for (const Case& c : cases) {
    for (const bool writes : {false, true}) {
      ASSERT_TRUE(base_->Put("k", "v").ok());
      TransactionStore transaction(base_.get(), &clock_);
      c.does(&transaction);
      if (writes) {
        ASSERT_TRUE(transaction.Put("x", "y").ok());
      }
      ASSERT_TRUE(base_->Put("k", "v").ok());
      // Of reads in one call there is nothing to check: they were one state.
      const bool one_read = !writes && std::string(c.name) == "a read";
      EXPECT_EQ(*transaction.Commit({}),
                c.conflicts && !one_read ? Outcome::kConflict : Outcome::kDone)
          << c.name;
    }
  }
}

TEST_F(TransactionStoreTest, TwoReadsOfAChangingKeyAreAConflict) {
  TransactionStore transaction(base_.get(), &clock_);
  EXPECT_EQ(*transaction.Get("k"), std::nullopt);
  ASSERT_TRUE(base_->Put("k", "v").ok());
  EXPECT_EQ(*transaction.Get("k"), "v");
  ASSERT_TRUE(transaction.Put("x", "y").ok());
  EXPECT_EQ(*transaction.Commit({}), Outcome::kConflict);
  EXPECT_EQ(*base_->Get("x"), std::nullopt);
}

TEST_F(TransactionStoreTest, AWatchedKeyThatChangedIsTold) {
  for (const bool writes : {false, true}) {
    const std::vector<WatchedKey> watched = {{"k", StampOf(base_.get(), "k")}};
    TransactionStore first(base_.get(), &clock_);
    TransactionStore second(base_.get(), &clock_);
    for (TransactionStore* transaction : {&first, &second}) {
      if (writes) {
        ASSERT_TRUE(transaction->Put("x", "y").ok());
      }
    }
    EXPECT_EQ(*first.Commit(watched), Outcome::kDone);
    ASSERT_TRUE(base_->Put("k", "v").ok());
    EXPECT_EQ(*second.Commit(watched), Outcome::kWatched);
  }
}

TEST_F(TransactionStoreTest, ItsValuesOutliveIt) {
  ReadResults results;
  const std::string large(100000, 'x');
  {
    TransactionStore transaction(base_.get(), &clock_);
    ASSERT_TRUE(transaction.Put("k", large).ok());
    transaction.Read("k", ReadOptions(), &results);
    ASSERT_TRUE(transaction.Put("k", "").ok());
  }
  EXPECT_EQ(results[0].value, large);
}

TEST_F(TransactionStoreTest, StoresThatCannotAreRefused) {
  Capabilities c = ModelCapabilities();
  EXPECT_TRUE(CheckTransactions(c).ok());
  c.batch_scope = BatchScope::kShard;
  EXPECT_TRUE(CheckTransactions(c).ok()) << "of keys of one shard";
  c.batch_scope = BatchScope::kKey;
  EXPECT_EQ(CheckTransactions(c).message(),
            "transactions need atomic batches of several keys, which the store lacks");
  c.conditions = Support::kAbsent;
  EXPECT_EQ(CheckTransactions(c).message(),
            "transactions need conditional writes, which the store lacks");
  c.write = Support::kAbsent;
  EXPECT_EQ(CheckTransactions(c).message(), "transactions need a store that can be written");
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
