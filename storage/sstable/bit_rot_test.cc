// Damage to what a store has on disk: each byte of each file is flipped, and each file is cut at
// each length. What the store then says is right, or an error that names a file; it never crashes.

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sstable/test_store.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

SstableOptions Options(FileSystem* fs, bool log) {
  SstableOptions options = SmallSstable(fs);
  options.log = log;
  return options;
}

// The files of a store as they are after a crash, or a close, and what it holds.
struct Disk {
  State files;
  State contents;
  std::vector<State> prefixes;  // what the history was at each write
  bool log = true;

  std::string FileWith(absl::string_view ending) const {
    for (const auto& [name, bytes] : files) {
      if (absl::EndsWith(name, ending) || absl::StartsWith(name, ending)) return name;
    }
    ADD_FAILURE() << ending;
    return "";
  }
};

Disk MakeDisk(bool log, bool close) {
  MemoryFileSystem fs;
  Disk disk;
  disk.log = log;
  auto store = OpenSstable(kTestDir, Options(&fs, log)).value();
  disk.prefixes.emplace_back();
  const auto put = [&](const std::string& key, const std::string& value) {
    EXPECT_TRUE(PutWith(store.get(), key, value, true).ok());
    disk.contents[key] = value;
    disk.prefixes.push_back(disk.contents);
  };
  for (int i = 0; i < 12; ++i) put(absl::StrCat("key", i), absl::StrCat("old", i));
  EXPECT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
  EXPECT_TRUE(DeleteRangeOf(store.get(), "key3", "key5").ok());
  disk.contents.erase("key3");
  disk.contents.erase("key4");
  disk.prefixes.push_back(disk.contents);
  for (int i = 5; i < 9; ++i) put(absl::StrCat("key", i), absl::StrCat("new", i));
  EXPECT_TRUE(store->maintenance()->Flush().ok());
  for (int i = 7; i < 10 && log; ++i) put(absl::StrCat("key", i), absl::StrCat("last", i));
  if (close) {
    EXPECT_TRUE(store->Close().ok());
  }
  // A process that was killed leaves them so, and a crash too: all was synced.
  disk.files = BytesOf(&fs);
  return disk;
}

// What became of a store with one file damaged.
struct Outcome {
  bool right = false;    // everything, and by reads of single keys too
  bool shorter = false;  // a shorter history
  bool error = false;    // at the open or at a read, and it named a file
  std::string text;
};

Outcome OpenWith(const Disk& disk, const std::string& name, const std::string& bytes,
                 bool read_only) {
  MemoryFileSystem fs;
  EXPECT_TRUE(fs.CreateDir(kTestDir).ok());
  for (const auto& [file, text] : disk.files) {
    auto out = fs.OpenForWrite(JoinPath(kTestDir, file), FileSystem::Create::kNew).value();
    EXPECT_TRUE(out->Append(file == name ? bytes : text).ok());
  }
  Outcome outcome;
  const auto failed = [&](const absl::Status& status) {
    outcome.error = true;
    outcome.text = status.ToString();
    EXPECT_TRUE(absl::StrContains(status.message(), absl::StrCat(kTestDir, "/"))) << status;
  };
  SstableOptions options = Options(&fs, disk.log);
  options.read_only = read_only;
  auto store = OpenSstable(kTestDir, options);
  if (!store.ok()) {
    failed(store.status());
    return outcome;
  }
  const absl::Status verified = (*store)->maintenance()->Verify().status();
  if (!verified.ok()) failed(verified);
  const auto found = ContentsOf(store->get());
  if (!found.ok()) failed(found.status());
  State by_reads;
  bool all_read = true;
  for (int i = 0; i < 13; ++i) {
    const std::string key = absl::StrCat("key", i);
    const auto value = (*store)->Get(key);
    if (!value.ok()) {
      failed(value.status());
      all_read = false;
    } else if (value->has_value()) {
      by_reads[key] = **value;
    }
  }
  for (const State& state : disk.prefixes) {
    // What could be read is of this history, whatever could not.
    const bool scan = !found.ok() || *found == state;
    const bool reads = std::all_of(by_reads.begin(), by_reads.end(), [&](const auto& entry) {
      const auto it = state.find(entry.first);
      return it != state.end() && it->second == entry.second;
    });
    if (scan && reads && (!all_read || by_reads == state)) outcome.shorter = true;
  }
  outcome.right = found.ok() && all_read && *found == disk.contents && by_reads == disk.contents;
  EXPECT_TRUE(outcome.right || outcome.shorter) << "a wrong answer";
  if (!verified.ok()) {
    EXPECT_FALSE(outcome.text.empty());
  }
  return outcome;
}

struct Counts {
  uint64_t right = 0;
  uint64_t errors = 0;
  uint64_t shorter = 0;  // without an error
  std::vector<uint64_t> offsets;
};

Counts FlipEachByteOf(const Disk& disk, const std::string& name) {
  Counts counts;
  const std::string& good = disk.files.at(name);
  for (uint64_t i = 0; i < good.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      const Outcome outcome =
          OpenWith(disk, name, bytes, (i + static_cast<uint64_t>(flip)) % 7 == 0);
      EXPECT_FALSE(testing::Test::HasFailure()) << name << ", byte " << i << ": " << outcome.text;
      if (testing::Test::HasFailure()) return counts;
      if (outcome.error) {
        ++counts.errors;
      } else if (outcome.right) {
        ++counts.right;
      } else {
        ++counts.shorter;
        counts.offsets.push_back(i);
      }
    }
  }
  return counts;
}

Counts CutEachLengthOf(const Disk& disk, const std::string& name) {
  Counts counts;
  const std::string& good = disk.files.at(name);
  for (uint64_t n = 0; n < good.size(); ++n) {
    const Outcome outcome = OpenWith(disk, name, good.substr(0, n), n % 5 == 0);
    EXPECT_FALSE(testing::Test::HasFailure()) << name << ", cut to " << n << ": " << outcome.text;
    if (testing::Test::HasFailure()) return counts;
    if (outcome.error) {
      ++counts.errors;
    } else if (outcome.right) {
      ++counts.right;
    } else {
      ++counts.shorter;
      counts.offsets.push_back(n);
    }
  }
  return counts;
}

// Every byte of a table is under a checksum, or says where one is.
TEST(SstableBitRotTest, ATable) {
  const Disk disk = MakeDisk(true, true);
  for (const auto& [name, bytes] : disk.files) {
    if (!absl::EndsWith(name, ".tbl")) continue;
    const Counts flips = FlipEachByteOf(disk, name);
    EXPECT_EQ(flips.errors, 3 * bytes.size()) << name;
    const Counts cuts = CutEachLengthOf(disk, name);
    EXPECT_EQ(cuts.errors, bytes.size()) << name;
  }
}

// A log tells damage by what a later record promises. The bytes that have no promise are those of
// the last group, which was synced when the crash came and nothing was written behind it: damage
// there is the end of the log, without an error, and what is left is the history before it. A log
// that is cut is one whose later records never came. The zeros that were written ahead hold
// nothing.
TEST(SstableBitRotTest, ALog) {
  const Disk disk = MakeDisk(true, false);
  const std::string name = disk.FileWith(".log");
  const std::string& bytes = disk.files.at(name);
  const uint64_t end = bytes.find_last_not_of('\0') + 1;
  const uint64_t zeros = bytes.size() - end;
  EXPECT_GT(zeros, 4000u);
  const Counts flips = FlipEachByteOf(disk, name);
  EXPECT_GT(flips.errors, 0u);
  EXPECT_EQ(flips.right, 3 * zeros);
  // A header of 7, a promise of 1 or 2, a sequence of 6, counts and sizes of 4, "key9" and "last9".
  EXPECT_LE(flips.shorter, 3u * 32);
  for (const uint64_t offset : flips.offsets) EXPECT_GE(offset, end - 32);
  const Counts cuts = CutEachLengthOf(disk, name);
  EXPECT_EQ(cuts.right, zeros);
  EXPECT_GT(cuts.errors, 40u);  // within the header
}

// The end of a log that was closed has its promise in the header of the next one, also where that
// has no record yet. The logs of memtables that could not be flushed, of which the last is empty.
TEST(SstableBitRotTest, AClosedLog) {
  MemoryFileSystem memory;
  FaultFileSystem faults(&memory);
  faults.SetRule({Fault::kNoSpace, 0, true,
                  [](const FileOperation& o) { return absl::EndsWith(o.path, ".tbl"); }});
  Disk disk;
  disk.prefixes.emplace_back();
  std::vector<size_t> last_groups;  // where they begin, by log
  // Where its last record ends, whose last byte is of a value.
  const auto end_of = [](const std::string& bytes) { return bytes.find_last_not_of('\0') + 1; };
  {
    auto store = OpenSstable(kTestDir, Options(&faults, true)).value();
    for (const char* log : {"a", "b"}) {
      for (int i = 0; i < 3; ++i) {
        const std::string newest = *FilesOf(&memory, ".log").rbegin();
        if (i == 2) last_groups.push_back(end_of(*ReadFile(&memory, JoinPath(kTestDir, newest))));
        const std::string key = absl::StrCat("key", disk.contents.size());
        ASSERT_TRUE(PutWith(store.get(), key, log, true).ok());
        disk.contents[key] = log;
        disk.prefixes.push_back(disk.contents);
      }
      EXPECT_TRUE(absl::IsResourceExhausted(store->maintenance()->Flush()));
    }
    disk.files = BytesOf(&memory);
  }
  const std::set<std::string> logs = FilesOf(&memory, ".log");
  ASSERT_EQ(logs.size(), 3u);
  EXPECT_TRUE(OpenWith(disk, "", "", true).right);
  std::string text;
  ASSERT_TRUE(InspectSstableFile(&memory, JoinPath(kTestDir, *logs.rbegin()), &text).ok());
  EXPECT_TRUE(absl::StrContains(
      text, absl::StrCat("which was synced to ", end_of(disk.files.at(*std::next(logs.begin()))))))
      << text;
  auto last_group = last_groups.begin();
  for (const std::string& name : logs) {
    if (last_group == last_groups.end()) break;
    const std::string& bytes = disk.files.at(name);
    EXPECT_EQ(FlipEachByteOf(disk, name).errors, 3 * end_of(bytes)) << name;
    EXPECT_EQ(CutEachLengthOf(disk, name).errors, end_of(bytes)) << name;
    std::string flipped = bytes;
    flipped[*last_group + 8] ^= 1;
    EXPECT_EQ(OpenWith(disk, name, flipped, false).text,
              absl::StrCat("DATA_LOSS: ", kTestDir, "/", name, ": the end is gone, which ",
                           kTestDir, "/", *std::next(logs.find(name)),
                           " says was synced: damaged bytes at offset ", *last_group));
    Disk without = disk;
    without.files.erase(name);
    const Outcome gone = OpenWith(without, "", "", false);
    EXPECT_TRUE(absl::StrContains(gone.text, absl::StrCat("/", name, ": the log is gone")))
        << gone.text;
    ++last_group;
  }
}

// Where nothing is written any more the last group gets its promise, too.
TEST(SstableBitRotTest, TheLogOfAnIdleStore) {
  MemoryFileSystem fs;
  SstableOptions options = Options(&fs, true);
  options.threads = true;
  options.idle_period = absl::Milliseconds(1);
  auto store = OpenSstable(kTestDir, options).value();
  Disk disk;
  disk.prefixes.emplace_back();
  for (int i = 0; i < 3; ++i) {
    const std::string key = absl::StrCat("key", i);
    EXPECT_TRUE(PutWith(store.get(), key, "value", i != 1).ok());
    disk.contents[key] = "value";
    disk.prefixes.push_back(disk.contents);
  }
  std::string text;
  do {
    std::this_thread::yield();
    disk.files = BytesOf(&fs);
    text.clear();
    InspectSstableFile(&fs, JoinPath(kTestDir, disk.FileWith(".log")), &text).IgnoreError();
  } while (!absl::StrContains(text, ": 0 mutations, 2 bytes\ngood to "));
  disk.files = BytesOf(&fs);
  const std::string name = disk.FileWith(".log");
  const uint64_t end = disk.files.at(name).find_last_not_of('\0') + 1;
  const Counts flips = FlipEachByteOf(disk, name);
  EXPECT_EQ(flips.shorter, 0u);
  // Only the fragment's header and the promise behind it can be damaged; the record is two zeros.
  EXPECT_EQ(flips.right / 3, disk.files.at(name).size() - end + 7 + 2);
}

// The last edit of a manifest has its promise behind it, in an empty record: only that one can be
// damaged without an error, and nothing is lost with it.
TEST(SstableBitRotTest, AManifest) {
  for (const bool log : {false, true}) {
    for (const bool close : {false, true}) {
      const Disk disk = MakeDisk(log, close);
      const std::string name = disk.FileWith("MANIFEST-");
      const Counts flips = FlipEachByteOf(disk, name);
      EXPECT_EQ(flips.shorter, 0u) << log << close;
      EXPECT_LE(flips.right, 3u * 10) << log << close;
      EXPECT_GT(flips.errors, 100u);
      // A cut at the end of an edit is a manifest from before the next one. Either a file is
      // missing then that it names, which is found, or nothing had changed.
      const Counts cuts = CutEachLengthOf(disk, name);
      EXPECT_GT(cuts.errors, 40u);
    }
  }
}

TEST(SstableBitRotTest, Current) {
  const Disk disk = MakeDisk(true, false);
  const Counts flips = FlipEachByteOf(disk, "CURRENT");
  EXPECT_EQ(flips.shorter, 0u);
  EXPECT_EQ(flips.right, 0u);
  const Counts cuts = CutEachLengthOf(disk, "CURRENT");
  EXPECT_EQ(cuts.shorter, 0u);
  EXPECT_EQ(cuts.right, 1u);  // the end of the line alone
}

TEST(SstableBitRotTest, AnIndexSnapshot) {
  MemoryFileSystem fs;
  auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(PutWith(store.get(), absl::StrCat("key", i), std::string(50, 'v'), false).ok());
  }
  ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
  ASSERT_TRUE(store->maintenance()->SaveIndexSnapshot("index").ok());
  const std::string good = *ReadFile(&fs, "index");
  const State state = *ContentsOf(store.get());
  ASSERT_EQ(store->maintenance()->LoadIndexSnapshot("index")->tables,
            store->maintenance()->LoadIndexSnapshot("index")->from_file);
  const auto load = [&](const std::string& bytes) {
    auto file = fs.OpenForWrite("damaged", FileSystem::Create::kTruncate).value();
    EXPECT_TRUE(file->Append(bytes).ok());
    const absl::Status status = store->maintenance()->LoadIndexSnapshot("damaged").status();
    EXPECT_FALSE(status.ok());
    EXPECT_TRUE(absl::StrContains(status.message(), "damaged")) << status;
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "at offset ")) << status;
  };
  for (size_t i = 0; i < good.size() && !testing::Test::HasFailure(); ++i) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      load(bytes);
    }
    load(good.substr(0, i));
    if (i % 100 == 0) {
      ASSERT_EQ(*ContentsOf(store.get()), state);
    }
  }
  load(good + "x");
  // A snapshot is refused when its tables are gone.
  ASSERT_TRUE(PutWith(store.get(), "key1", "new", false).ok());
  ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
  const absl::Status stale = store->maintenance()->LoadIndexSnapshot("index").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(stale)) << stale;
  EXPECT_TRUE(absl::StrContains(stale.message(), ".tbl, which is gone")) << stale;
}

// People's view of damaged files ends in an error, too.
TEST(SstableBitRotTest, InspectingDamagedFiles) {
  const Disk disk = MakeDisk(true, false);
  for (const auto& [name, good] : disk.files) {
    if (name == "CURRENT") continue;
    for (size_t i = 0; i < 2 * good.size(); ++i) {
      MemoryFileSystem fs;
      std::string bytes = i < good.size() ? good : good.substr(0, i - good.size());
      if (i < good.size()) bytes[i] = static_cast<char>(bytes[i] ^ 0x81);
      auto file = fs.OpenForWrite(name, FileSystem::Create::kNew).value();
      ASSERT_TRUE(file->Append(bytes).ok());
      std::string text;
      const absl::Status status = InspectSstableFile(&fs, name, &text);
      if (!status.ok()) {
        EXPECT_TRUE(absl::StrContains(status.message(), name)) << status;
      }
    }
  }
}

}  // namespace
}  // namespace kvarts
