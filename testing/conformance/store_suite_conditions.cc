#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "testing/conformance/store_suite_internal.h"

namespace kvarts::store_suite {
namespace {

using absl::StatusCode;

// Writes key=value on `condition`, and checks all that the contract says of the
// outcome. Returns whether it was written.
bool PutIf(Store& store, absl::string_view key, absl::string_view value,
           const Precondition& condition) {
  const std::string before = ValueOf(store, key);
  WriteBatch batch;
  batch.Put(key, value);
  batch.Add(condition);
  WriteResults results;
  const absl::Status status = WriteAtomic(store, batch, &results);
  EXPECT_EQ(results.results.size(), 1u);
  if (status.ok()) {
    EXPECT_EQ(results.failed_precondition, -1);
    EXPECT_EQ(ValueOf(store, key), value);
    return true;
  }
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(results.failed_precondition, 0);
  EXPECT_EQ(ValueOf(store, key), before) << "written all the same";
  return false;
}

Precondition IfAbsent(absl::string_view key) { return {Precondition::Kind::kAbsent, key, {}}; }
Precondition IfPresent(absl::string_view key) { return {Precondition::Kind::kPresent, key, {}}; }
Precondition IfUnchanged(absl::string_view key, const Stamp& stamp) {
  return {Precondition::Kind::kUnchanged, key, stamp};
}

void PreconditionsHoldOrDoNot(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open({{"there", "v"}});
  EXPECT_FALSE(PutIf(*store, "there", "w", IfAbsent("there")));
  EXPECT_TRUE(PutIf(*store, "there", "w", IfPresent("there")));
  EXPECT_FALSE(PutIf(*store, "new", "v", IfPresent("new")));
  EXPECT_TRUE(PutIf(*store, "new", "v", IfAbsent("new")));
  EXPECT_FALSE(PutIf(*store, "new", "w", IfAbsent("new")));
  EXPECT_TRUE(*store->Delete("new"));
  EXPECT_TRUE(PutIf(*store, "new", "w", IfAbsent("new")));
  EXPECT_TRUE(PutIf(*store, "", "of the empty key", IfAbsent("")));
  EXPECT_TRUE(PutIf(*store, "", "again", IfPresent("")));
}

void PreconditionsWithoutAtomicAreInvalid(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open({{"k", "v"}});
  WriteBatch batch;
  batch.Put("k", "w");
  batch.RequirePresent("k");
  WriteResults results;
  EXPECT_EQ(store->Write(batch, {}, &results).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(results.failed_precondition, -1);
  ASSERT_EQ(results.results.size(), 1u);
  EXPECT_FALSE(results.results[0].status.ok());
  EXPECT_EQ(ValueOf(*store, "k"), "v");
}

void FirstFailedPreconditionIsNamedAndNothingApplied(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  if (t.has().batch_scope < BatchScope::kShard) GTEST_SKIP() << "no batches of several keys";
  const auto store = t.Open({{"{t}a", "1"}, {"{t}b", "2"}});
  WriteBatch batch;
  batch.Put("{t}a", "3");
  batch.Delete("{t}b");
  batch.RequirePresent("{t}a");
  batch.RequirePresent("{t}b");
  batch.RequirePresent("{t}absent");
  batch.RequireAbsent("{t}a");
  WriteResults results;
  EXPECT_EQ(WriteAtomic(*store, batch, &results).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(results.failed_precondition, 2);
  ASSERT_EQ(results.results.size(), 2u);
  EXPECT_FALSE(results.results[0].status.ok());
  EXPECT_FALSE(results.results[1].status.ok());
  EXPECT_EQ(WriteAtomic(*store, batch, nullptr).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ValueOf(*store, "{t}a"), "1");
  EXPECT_EQ(ValueOf(*store, "{t}b"), "2");
}

void PreconditionsAloneOnlyCheck(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open({{"k", "v"}});
  WriteBatch batch;
  batch.RequirePresent("k");
  WriteResults results;
  EXPECT_TRUE(WriteAtomic(*store, batch, &results).ok());
  batch.RequireAbsent("k");
  EXPECT_EQ(WriteAtomic(*store, batch, &results).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(results.failed_precondition, 1);
}

void PreconditionsAreOfTheStateBeforeTheBatch(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open();
  WriteBatch batch;
  batch.Put("k", "1");
  batch.Put("k", "2");
  batch.RequireAbsent("k");
  EXPECT_TRUE(WriteAtomic(*store, batch).ok());
  batch.Clear();
  batch.Delete("k");
  batch.RequirePresent("k");
  EXPECT_TRUE(WriteAtomic(*store, batch).ok());
  EXPECT_EQ(ValueOf(*store, "k"), kAbsent);
}

void PreconditionOfABadKeyIsInvalid(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open();
  WriteBatch batch;
  const std::string too_long(kMaxKeyBytes + 1, 'k');
  batch.RequireAbsent(too_long);
  EXPECT_EQ(WriteAtomic(*store, batch).code(), StatusCode::kInvalidArgument);
}

void FreshStampHoldsOnce(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open({{"k", "v"}});
  for (const char* key : {"k", "absent"}) {
    const Stamp stamp = StampOf(*store, key);
    EXPECT_TRUE(PutIf(*store, key, "w", IfUnchanged(key, stamp)));
    EXPECT_FALSE(PutIf(*store, key, "x", IfUnchanged(key, stamp))) << "this batch wrote it";
  }
  ReadOptions options;
  options.stamp = true;
  options.value = false;
  ReadResults results;
  const std::vector<absl::string_view> keys = {"absent", "k", "k"};
  store->MultiGet(keys, options, &results);
  EXPECT_EQ(results[1].stamp, results[2].stamp);
  EXPECT_TRUE(PutIf(*store, "k", "y", IfUnchanged("k", results[1].stamp)));
}

// Whatever is done to a key, each stamp from before does not match any more.
void StampsNeverMatchAfterAWrite(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open({{"k", "v"}});
  std::vector<Stamp> stamps;
  const auto note = [&](const char* what) {
    for (const Stamp& stamp : stamps) {
      WriteBatch check;
      check.RequireUnchanged("k", stamp);
      WriteResults results;
      EXPECT_EQ(WriteAtomic(*store, check, &results).code(), StatusCode::kFailedPrecondition)
          << "a stamp from before " << what << " matches";
      EXPECT_EQ(results.failed_precondition, 0);
    }
    const Stamp now = StampOf(*store, "k");
    for (const Stamp& stamp : stamps) EXPECT_NE(stamp, now) << what;
    stamps.push_back(now);
  };
  const auto write = [&](const Mutation& mutation) {
    WriteBatch batch;
    batch.Add(mutation);
    EXPECT_TRUE(store->Write(batch, {}, nullptr).ok());
  };
  note("nothing");
  for (int round = 0; round < 2; ++round) {
    write({Mutation::Kind::kPut, "k", "w", {}});
    note("a put");
    write({Mutation::Kind::kPut, "k", "w", {}});
    note("a put of the same value");
    write({Mutation::Kind::kDelete, "k", "", {}});
    note("a deletion");
    write({Mutation::Kind::kPut, "k", "w", {}});
    note("the return");
    write({Mutation::Kind::kDelete, "k", "", {}});
    write({Mutation::Kind::kPut, "k", "w", {}});
    note("a deletion and return");
    if (t.Has(&Capabilities::content_type)) {
      write({Mutation::Kind::kTouch, "k", "", ContentType("a/b")});
      note("a touch of the content type");
    }
    if (t.Has(&Capabilities::expiry)) {
      write({Mutation::Kind::kTouch, "k", "", ExpiresAt(kFarFutureMs)});
      note("a touch of the expiry");
    }
    if (t.Has(&Capabilities::delete_range)) {
      write({Mutation::Kind::kDeleteRange, "a", "z", {}});
      note("a range deletion");
    }
    EXPECT_TRUE(
        store->Modify("k", {}, [](const ReadResult&) { return Modification::Put("v"); }).ok());
    note("a Modify");
  }
}

void StampsDoNotMatchAcrossAReopenAndAWrite(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  if (!t.fixture().can_reopen()) GTEST_SKIP() << "the fixture cannot reopen";
  auto store = t.Open({{"k", "v"}});
  std::vector<Stamp> stamps = {StampOf(*store, "k")};
  const Stamp absent = StampOf(*store, "new");
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(store->Close().ok());
    store.reset();
    store = t.Reopen();
    for (int j = 0; j < 3; ++j) {
      EXPECT_TRUE(store->Put("k", "v").ok());
      const Stamp now = StampOf(*store, "k");
      for (const Stamp& stamp : stamps) EXPECT_NE(stamp, now);
      stamps.push_back(now);
      for (const Stamp& stamp : stamps) {
        if (stamp != now) {
          EXPECT_FALSE(PutIf(*store, "k", "w", IfUnchanged("k", stamp)));
        }
      }
    }
    EXPECT_TRUE(store->Put("new", "v").ok());
    EXPECT_TRUE(*store->Delete("new"));
    EXPECT_FALSE(PutIf(*store, "new", "w", IfUnchanged("new", absent)));
  }
}

using Modifier = std::function<absl::StatusOr<Modification>(const ReadResult&)>;

absl::Status ModifyWith(Store& store, absl::string_view key, const Modifier& modifier) {
  return store.Modify(key, {}, modifier);
}

// Conflicts that are none are rare, however few keys there are, and a flush of what is not
// there makes none.
void StampsOfAbsentKeysAreNotOfOtherKeys(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open();
  constexpr int kWatched = 1000;
  int conflicts = 0;
  int writes = 0;
  for (const int others : {1, 1, 10, 100}) {
    std::vector<Stamp> stamps;
    for (int i = 0; i < kWatched; ++i) {
      stamps.push_back(StampOf(*store, absl::StrCat("absent", i)));
    }
    if (t.has().delete_range != Support::kAbsent && writes == 0) {
      WriteBatch flush;
      flush.DeleteRange("", "");
      EXPECT_TRUE(store->Write(flush, {}, nullptr).ok());
    }
    for (int i = 0; i < others; ++i) {
      EXPECT_TRUE(store->Put(absl::StrCat("other", writes++), "v").ok());
    }
    for (int i = 0; i < kWatched; ++i) {
      const std::string key = absl::StrCat("absent", i);
      WriteBatch check;
      check.Add(IfUnchanged(key, stamps[static_cast<size_t>(i)]));
      conflicts += WriteAtomic(*store, check).ok() ? 0 : 1;
    }
  }
  // Each of the writes, and each of the keys beside it, one in 1,000 at the most.
  EXPECT_LE(conflicts, writes * kWatched / 1000);
}

void ModifyReadsAndWrites(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open({{"k", "v"}});
  const Modifier append = [](const ReadResult& now) {
    return Modification::Put(now.found ? absl::StrCat(now.value, "+") : "new");
  };
  EXPECT_TRUE(ModifyWith(*store, "k", append).ok());
  EXPECT_EQ(ValueOf(*store, "k"), "v+");
  EXPECT_TRUE(ModifyWith(*store, "absent", append).ok());
  EXPECT_EQ(ValueOf(*store, "absent"), "new");

  bool saw_the_value = false;
  EXPECT_TRUE(ModifyWith(*store, "k", [&](const ReadResult& now) {
                saw_the_value = now.found && now.value == "v+" && now.status.ok();
                return Modification::Nothing();
              }).ok());
  EXPECT_TRUE(saw_the_value);
  EXPECT_EQ(ValueOf(*store, "k"), "v+");

  EXPECT_EQ(ModifyWith(*store, "k",
                       [](const ReadResult&) {
                         return absl::StatusOr<Modification>(absl::AbortedError("not this time"));
                       }),
            absl::AbortedError("not this time"));
  EXPECT_EQ(ValueOf(*store, "k"), "v+");

  EXPECT_TRUE(
      ModifyWith(*store, "k", [](const ReadResult&) { return Modification::Delete(); }).ok());
  EXPECT_EQ(ValueOf(*store, "k"), kAbsent);
  EXPECT_TRUE(
      ModifyWith(*store, "k", [](const ReadResult&) { return Modification::Delete(); }).ok());
}

void ModifyRefusesWhatWriteRefuses(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open({{"k", "v"}});
  EXPECT_EQ(ModifyWith(*store, "k",
                       [](const ReadResult&) {
                         return Modification::Put(std::string(kMaxValueBytes + 1, 'v'));
                       })
                .code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(ModifyWith(*store, std::string(kMaxKeyBytes + 1, 'k'),
                       [](const ReadResult&) { return Modification::Put("v"); })
                .code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(ValueOf(*store, "k"), "v");
}

void ModifyKeepsMetadataUnlessTold(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  KVARTS_SUITE_NEEDS(content_type);
  const auto store = t.Open();
  EXPECT_TRUE(store->Put("k", "v", ContentType("text/plain")).ok());
  EXPECT_TRUE(ModifyWith(*store, "k", [](const ReadResult& now) {
                return Modification::Put(std::string(now.content_type));
              }).ok());
  EXPECT_EQ(ValueOf(*store, "k"), "text/plain") << "the function saw it";
  EXPECT_EQ(ReadOne(*store, "k").content_type, "text/plain");
  EXPECT_TRUE(ModifyWith(*store, "k", [](const ReadResult&) {
                Modification m = Modification::Put("w");
                m.metadata = ContentType("a/b");
                return m;
              }).ok());
  EXPECT_EQ(ReadOne(*store, "k").content_type, "a/b");
  EXPECT_TRUE(ModifyWith(*store, "k", [](const ReadResult&) {
                Modification m = Modification::Put("x");
                m.metadata = Metadata();
                return m;
              }).ok());
  EXPECT_EQ(ReadOne(*store, "k").content_type, "");
}

}  // namespace

absl::Span<const SuiteTest> ConditionTests() {
  static constexpr SuiteTest kTests[] = {
      {"PreconditionsHoldOrDoNot", PreconditionsHoldOrDoNot},
      {"PreconditionsWithoutAtomicAreInvalid", PreconditionsWithoutAtomicAreInvalid},
      {"FirstFailedPreconditionIsNamedAndNothingApplied",
       FirstFailedPreconditionIsNamedAndNothingApplied},
      {"PreconditionsAloneOnlyCheck", PreconditionsAloneOnlyCheck},
      {"PreconditionsAreOfTheStateBeforeTheBatch", PreconditionsAreOfTheStateBeforeTheBatch},
      {"PreconditionOfABadKeyIsInvalid", PreconditionOfABadKeyIsInvalid, /*needs_entries=*/false},
      {"FreshStampHoldsOnce", FreshStampHoldsOnce},
      {"StampsNeverMatchAfterAWrite", StampsNeverMatchAfterAWrite},
      {"StampsDoNotMatchAcrossAReopenAndAWrite", StampsDoNotMatchAcrossAReopenAndAWrite},
      {"StampsOfAbsentKeysAreNotOfOtherKeys", StampsOfAbsentKeysAreNotOfOtherKeys},
      {"ModifyReadsAndWrites", ModifyReadsAndWrites},
      {"ModifyRefusesWhatWriteRefuses", ModifyRefusesWhatWriteRefuses},
      {"ModifyKeepsMetadataUnlessTold", ModifyKeepsMetadataUnlessTold},
  };
  return kTests;
}

}  // namespace kvarts::store_suite
