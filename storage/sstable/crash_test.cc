// The store under power cuts and errors of the disk: a history of writes over a file system in
// memory, which is cloned after a crash at every operation, or whose operations fail one by one.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sstable/sstable.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using State = std::map<std::string, std::string>;
using Kind = FileOperation::Kind;
using Moment = MemoryFileSystem::Moment;

constexpr char kDir[] = "store";

SstableOptions Options(FileSystem* fs) {
  SstableOptions options;
  options.fs = fs;
  options.threads = false;
  options.memory = 1 << 20;
  options.memtable_bytes = 300 << 10;  // one block of the memtable, and what is large
  options.block_bytes = 128;
  options.table_bytes = 1024;
  options.level1_bytes = 4096;
  return options;
}

// A batch of a history, and what the store holds behind it.
struct Step {
  std::vector<Mutation> mutations;  // into `texts`
  std::vector<std::string> texts;
  bool sync = false;
  bool flush = false;    // instead
  bool compact = false;  // instead
  bool reopen = false;   // instead: a close, and an opening
  State after;
};

// Values long enough for logs to cross blocks, and short ones; range deletions; batches.
std::vector<Step> MakeHistory(uint64_t seed, int steps) {
  CrashRandom random(seed);
  std::vector<Step> history;
  State state;
  for (int i = 0; i < steps; ++i) {
    Step step;
    const uint64_t what = random.UpTo(19);
    if (what == 0) {
      step.flush = true;
    } else if (what == 1) {
      step.compact = true;
    } else if (what == 2) {
      step.reopen = true;
    } else {
      step.sync = random.UpTo(2) == 0;
      const uint64_t mutations = 1 + (random.UpTo(3) == 0 ? random.UpTo(4) : 0);
      step.texts.reserve(2 * mutations);
      for (uint64_t m = 0; m < mutations; ++m) {
        const std::string key = absl::StrCat("key", random.UpTo(15));
        const uint64_t kind = random.UpTo(9);
        Mutation mutation;
        if (kind == 0) {
          mutation.kind = Mutation::Kind::kDeleteRange;
          // Of one key and those that begin so, or of most.
          const std::string end = random.UpTo(2) == 0 ? "key9" : absl::StrCat(key, "~");
          if (key >= end) continue;
          state.erase(state.lower_bound(key), state.lower_bound(end));
          step.texts.push_back(key);
          step.texts.push_back(end);
        } else if (kind <= 2) {
          mutation.kind = Mutation::Kind::kDelete;
          state.erase(key);
          step.texts.push_back(key);
          step.texts.emplace_back();
        } else {
          const uint64_t size = random.UpTo(29) == 0 ? 40000 + random.UpTo(80000) : random.UpTo(60);
          std::string value = absl::StrCat(i, ".", m, ":");
          while (value.size() < size) value.push_back(static_cast<char>('a' + value.size() % 26));
          state[key] = value;
          step.texts.push_back(key);
          step.texts.push_back(value);
        }
        mutation.key = step.texts[step.texts.size() - 2];
        mutation.value = step.texts.back();
        step.mutations.push_back(mutation);
      }
    }
    step.after = state;
    history.push_back(std::move(step));
  }
  return history;
}

// Keys that go upwards, so that tables move down as they are.
std::vector<Step> MakeAscendingHistory(int steps) {
  std::vector<Step> history;
  State state;
  for (int i = 0; i < steps; ++i) {
    Step step;
    step.flush = i % 4 == 3;
    step.sync = i % 4 == 1;
    if (!step.flush) {
      step.texts = {absl::StrCat("up", 1000 + i),
                    std::string(300, static_cast<char>('a' + i % 26))};
      Mutation mutation;
      mutation.key = step.texts[0];
      mutation.value = step.texts[1];
      step.mutations.push_back(mutation);
      state[step.texts[0]] = step.texts[1];
    }
    step.after = state;
    history.push_back(std::move(step));
  }
  return history;
}

absl::Status Do(Store* store, const Step& step) {
  if (step.flush) return store->maintenance()->Flush();
  if (step.compact) return store->maintenance()->Compact(KeyRange::All());
  WriteBatch batch;
  for (const Mutation& mutation : step.mutations) batch.Add(mutation);
  WriteOptions options;
  options.atomic = true;
  options.sync = step.sync;
  return store->Write(batch, options, nullptr);
}

// All that a store holds, by a scan; and the same by reads, or it says what differs.
std::string Contents(Store* store, State* state) {
  state->clear();
  auto cursor = store->NewCursor({});
  if (!cursor.ok()) return cursor.status().ToString();
  ScanPage page;
  do {
    const absl::Status status = (*cursor)->Next(PageLimits(), &page);
    if (!status.ok()) return status.ToString();
    for (const ScanEntry& entry : page) (*state)[std::string(entry.key)] = std::string(entry.value);
  } while (!page.empty());
  for (int i = 0; i < 16; ++i) {
    const std::string key = absl::StrCat("key", i);
    const auto value = store->Get(key);
    if (!value.ok()) return value.status().ToString();
    const auto it = state->find(key);
    if (value->has_value() != (it != state->end()) ||
        (value->has_value() && **value != it->second)) {
      return absl::StrCat(key, ": a read and a scan differ");
    }
  }
  return "";
}

// How a history went, at any moment of it.
struct Progress {
  size_t begun = 0;  // steps
  size_t acknowledged = 0;
  size_t synced = 0;  // so many of these must outlive a crash
};

// Whether a crashed file system opens to a state that it may have. "" or what is wrong.
class Judge {
 public:
  explicit Judge(const std::vector<Step>& history) : history_(history) {}

  std::string Check(MemoryFileSystem* after, const Progress& progress, uint64_t seed) {
    ++states_;
    auto store = OpenSstable(kDir, Options(after));
    if (!store.ok()) {
      // Before the first open was done there may be nothing yet.
      return store.status().ToString();
    }
    State found;
    if (std::string wrong = Contents(store->get(), &found); !wrong.empty()) return wrong;
    bool any = false;
    for (size_t done = progress.synced; done <= progress.begun && !any; ++done) {
      any = found == (done == 0 ? State() : history_[done - 1].after);
    }
    if (!any) {
      return absl::StrCat("the store holds no prefix of the history between ", progress.synced,
                          " and ", progress.begun);
    }
    if (seed % 4 != 0) return "";
    // It goes on: what is written now outlives another crash, whatever was cut off.
    if (absl::Status status = (*store)->Put("key3", "after"); !status.ok()) {
      return status.ToString();
    }
    const auto again = after->CloneAfterCrash(seed, {});
    auto reopened = OpenSstable(kDir, Options(again.get()));
    if (!reopened.ok()) return absl::StrCat("again: ", reopened.status().ToString());
    State second;
    if (std::string wrong = Contents(reopened->get(), &second); !wrong.empty()) return wrong;
    found["key3"] = "after";
    return second == found ? "" : "what was written after the crash is lost, or old comes back";
  }
  uint64_t states() const { return states_; }

 private:
  const std::vector<Step>& history_;
  uint64_t states_ = 0;
};

// What must have happened for the crashes to mean anything.
struct Events {
  uint64_t logs = 0;
  uint64_t tables = 0;
  uint64_t manifests = 0;
  uint64_t table_deletes = 0;
  uint64_t log_deletes = 0;
  uint64_t edits = 0;
  uint64_t moved_tables = 0;
  uint64_t dropped_tables = 0;  // unread, since a range deletion hid all of them

  void CountOf(Store* store) {
    const auto stats = store->Stats();
    ASSERT_TRUE(stats.ok()) << stats.status();
    for (const auto& [name, value] : stats->details) {
      if (name == "moved_tables") moved_tables += std::stoull(value);
      if (name == "dropped_tables") dropped_tables += std::stoull(value);
    }
  }
  void Count(Moment moment, const FileOperation& operation) {
    if (moment != Moment::kAfter) return;
    const bool log = absl::EndsWith(operation.path, ".log");
    const bool table = absl::EndsWith(operation.path, ".tbl");
    const bool manifest = absl::StrContains(operation.path, "MANIFEST-");
    if (operation.kind == Kind::kOpenForWrite) {
      logs += log ? 1 : 0;
      tables += table ? 1 : 0;
      manifests += manifest ? 1 : 0;
    }
    if (operation.kind == Kind::kDelete) {
      log_deletes += log ? 1 : 0;
      table_deletes += table ? 1 : 0;
    }
    if (operation.kind == Kind::kSync && manifest) ++edits;
  }
};

void CheckEvents(const Events& events) {
  EXPECT_GT(events.logs, 1u);
  EXPECT_GT(events.tables, 1u);
  EXPECT_GT(events.manifests, 0u);
  EXPECT_GT(events.table_deletes, 0u);
  EXPECT_GT(events.log_deletes, 0u);
  EXPECT_GT(events.edits, 1u);
  EXPECT_GT(events.moved_tables, 0u);
  EXPECT_GT(events.dropped_tables, 0u);
}

// Runs a history, and visits the file system before and after each of its operations.
void RunWith(const std::vector<Step>& history, MemoryFileSystem* fs, Events* events,
             const std::function<void(const Progress&)>& visit) {
  Progress progress;
  fs->SetHook([&](Moment moment, const FileOperation& operation) {
    events->Count(moment, operation);
    visit(progress);
  });
  {
    auto store = OpenSstable(kDir, Options(fs));
    ASSERT_TRUE(store.ok()) << store.status();
    for (const Step& step : history) {
      ++progress.begun;
      if (step.reopen) {
        events->CountOf(store->get());
        ASSERT_TRUE((*store)->Close().ok());
        store = OpenSstable(kDir, Options(fs));
        ASSERT_TRUE(store.ok()) << store.status();
      } else {
        const absl::Status status = Do(store->get(), step);
        ASSERT_TRUE(status.ok()) << status;
      }
      progress.acknowledged = progress.begun;
      if (step.sync || step.flush || step.compact || step.reopen) progress.synced = progress.begun;
    }
    events->CountOf(store->get());
    ASSERT_TRUE((*store)->Close().ok());
    progress.synced = progress.begun;
  }
  fs->SetHook({});
  visit(progress);
}

TEST(SstableCrashTest, APowerCutAtAnyMomentLeavesAPrefixWithAllThatWasSynced) {
  uint64_t states = 0;
  Events events;
  uint64_t operation = 0;
  for (uint64_t seed = 0; seed <= 7; ++seed) {
    const std::vector<Step> history = seed == 0 ? MakeAscendingHistory(48) : MakeHistory(seed, 60);
    Judge judge(history);
    MemoryFileSystem fs;
    RunWith(history, &fs, &events, [&](const Progress& progress) {
      ++operation;
      for (size_t i = 0; i < CrashPolicy::All().size(); ++i) {
        // Each policy at every third moment: together all moments.
        if ((operation + i) % 3 != 0 || testing::Test::HasFailure()) continue;
        const CrashPolicy policy = CrashPolicy::All()[i];
        const auto after = fs.CloneAfterCrash(operation, policy);
        // The first open may be cut short before there is a store: then it is made anew.
        EXPECT_EQ(judge.Check(after.get(), progress, operation), "")
            << "seed " << seed << ", operation " << operation << ", policy " << i;
      }
    });
    states += judge.states();
  }
  CheckEvents(events);
  RecordProperty("states", static_cast<int>(states));
  EXPECT_GE(states, 10000u);
}

TEST(SstableCrashTest, APowerCutWhileTheStoreIsOpenedAgainLosesNothing) {
  uint64_t states = 0;
  uint64_t operation = 0;
  Events events;
  for (uint64_t seed = 11; seed <= 12; ++seed) {
    const std::vector<Step> history = MakeHistory(seed, 50);
    Judge judge(history);
    MemoryFileSystem fs;
    RunWith(history, &fs, &events, [&](const Progress& progress) {
      if (++operation % 7 != 0 || testing::Test::HasFailure()) return;
      const CrashPolicy policy = CrashPolicy::All()[operation / 7 % 12];
      const auto first = fs.CloneAfterCrash(operation, policy);
      uint64_t nested = 0;
      first->SetHook([&](Moment, const FileOperation&) {
        ++nested;
        for (const size_t i : {nested % 12, (nested + 5) % 12}) {
          const auto second = first->CloneAfterCrash(nested, CrashPolicy::All()[i]);
          EXPECT_EQ(judge.Check(second.get(), progress, nested), "")
              << "seed " << seed << ", operation " << operation << ", then " << nested;
        }
      });
      EXPECT_TRUE(OpenSstable(kDir, Options(first.get())).ok());
      first->SetHook({});
    });
    states += judge.states();
  }
  EXPECT_GE(states, 10000u);
}

// What a store may hold after a history in which some calls failed: all that were acknowledged,
// none that failed, and of those of which it is not known either.
TEST(SstableFaultTest, AnErrorOfAnyOperationLosesNothingThatWasAcknowledged) {
  const std::vector<Step> history = MakeHistory(21, 40);
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite,
                            Fault::kSyncLosesPages, Fault::kLateError, Fault::kDoneButError}) {
    for (const bool forever : {false, true}) {
      uint64_t k = 0;
      for (;; ++k) {
        MemoryFileSystem disk;
        FaultFileSystem faults(&disk, [&](WritableFile* file) { disk.LoseUnsynced(file); });
        { ASSERT_TRUE(OpenSstable(kDir, Options(&disk)).ok()); }
        faults.SetRule({fault, k, forever, {}});
        // The states that the store may be in.
        std::vector<State> may = {State()};
        std::vector<State> may_durably = {State()};
        uint64_t read_only = 0;
        {
          auto store = OpenSstable(kDir, Options(&faults));
          for (size_t i = 0; store.ok() && i < history.size(); ++i) {
            const Step& step = history[i];
            if (step.reopen) continue;
            const absl::Status status = Do(store->get(), step);
            if (absl::IsFailedPrecondition(status)) ++read_only;
            if (step.flush || step.compact) {
              if (status.ok()) may_durably = may;
              continue;
            }
            const auto apply = [&](State state) {
              for (const Mutation& m : step.mutations) {
                const std::string key(m.key);
                if (m.kind == Mutation::Kind::kPut) state[key] = std::string(m.value);
                if (m.kind == Mutation::Kind::kDelete) state.erase(key);
                if (m.kind == Mutation::Kind::kDeleteRange) {
                  state.erase(state.lower_bound(key), state.lower_bound(std::string(m.value)));
                }
              }
              return state;
            };
            if (status.ok()) {
              for (State& state : may) state = apply(state);
              if (step.sync) {
                may_durably = may;
              } else {
                // A crash may take it, but not what was there before it.
                for (const State& state : may) may_durably.push_back(state);
              }
            } else if (absl::IsDeadlineExceeded(status)) {
              const std::vector<State> without = may;
              for (const State& state : without) may.push_back(apply(state));
              may_durably.insert(may_durably.end(), may.begin(), may.end());
            }
            State now;
            if (store.ok() && !forever) {
              const std::string wrong = Contents(store->get(), &now);
              // A read may be what fails.
              if (wrong.empty()) {
                EXPECT_TRUE(std::find(may.begin(), may.end(), now) != may.end())
                    << "fault " << static_cast<int>(fault) << ", operation " << k << ", step " << i
                    << ": " << status;
              } else {
                EXPECT_TRUE(absl::StrContains(wrong, kDir)) << wrong;
              }
            }
          }
        }
        const uint64_t injected = faults.injected();
        faults.ClearRule();
        for (const bool crash : {true, false}) {
          std::unique_ptr<MemoryFileSystem> after;
          if (crash) after = disk.CloneAfterCrash(k, {});
          auto store = OpenSstable(kDir, Options(crash ? after.get() : &disk));
          ASSERT_TRUE(store.ok()) << "fault " << static_cast<int>(fault) << ", operation " << k
                                  << (forever ? " and later" : "") << ": " << store.status();
          State found;
          ASSERT_EQ(Contents(store->get(), &found), "");
          EXPECT_TRUE(std::find(may_durably.begin(), may_durably.end(), found) != may_durably.end())
              << "fault " << static_cast<int>(fault) << ", operation " << k
              << (forever ? " and later" : "") << (crash ? ", after a crash" : "");
          EXPECT_TRUE((*store)->Put("key1", "again").ok());
        }
        if (injected == 0 || testing::Test::HasFailure()) break;
      }
      EXPECT_GT(k, 10u) << "fault " << static_cast<int>(fault);
    }
  }
}

}  // namespace
}  // namespace kvarts
