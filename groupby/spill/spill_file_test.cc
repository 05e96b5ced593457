#include "groupby/spill/spill_file.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kHeader = SpillFile::kHeaderBytes;

absl::Status Append(SpillFile* file, const std::string& bytes) {
  std::string room(kHeader, '?');
  room += bytes;
  return file->Append(room.data(), bytes.size());
}

class SpillFileTest : public testing::Test {
 protected:
  std::unique_ptr<SpillFile> Write(const std::vector<std::string>& blocks,
                                   const std::string& path = "/0.run") {
    auto file = SpillFile::New(&fs_, path).value();
    for (const std::string& block : blocks) EXPECT_TRUE(Append(file.get(), block).ok());
    EXPECT_TRUE(file->FinishWriting().ok());
    return file;
  }
  absl::StatusOr<std::string> Read(SpillFile* file, size_t i) {
    // Exactly as long as it may be, for the sanitizers.
    const std::unique_ptr<char[]> room(new char[kHeader + file->block_bytes(i)]);
    const auto bytes = file->Read(i, room.get());
    if (!bytes.ok()) return bytes.status();
    return std::string(*bytes);
  }
  void Overwrite(const std::string& path, const std::string& bytes) {
    auto file = fs_.OpenForWrite(path, FileSystem::Create::kTruncate).value();
    ASSERT_TRUE(file->Append(bytes).ok());
  }

  MemoryFileSystem fs_;
};

// Equal ones in front, then others, an empty one among them.
std::vector<std::string> SomeBlocks() {
  return {
      "twelve bytes", "twelve bytes", "bytes twelve", "", "twelve bytes", "a longer block", "x"};
}

// The example of FORMAT.md.
TEST_F(SpillFileTest, BytesAreAsSpecified) {
  const auto file = Write({"ant", "bee!"});
  EXPECT_EQ(absl::BytesToHexString(ReadFile(&fs_, file->path()).value()),
            "80a54ff2de68b052"  // checksum
            "03000000"          // bytes
            "4b475301"          // magic, version 1
            "616e74"            // ant
            "afd8ac45746506d0"  // checksum
            "04000000"          // bytes
            "4b475301"          // magic, version 1
            "62656521");        // bee!
}

TEST_F(SpillFileTest, BlocksAreReadInAnyOrder) {
  const std::vector<std::string> blocks = SomeBlocks();
  const auto file = Write(blocks);
  ASSERT_EQ(file->blocks(), blocks.size());
  EXPECT_EQ(file->file_bytes(), fs_.Stat(file->path())->size);
  for (size_t step : {1, 2, 3, 5}) {
    for (size_t n = 0, i = 0; n < blocks.size(); ++n, i = (i + step) % blocks.size()) {
      EXPECT_EQ(file->block_bytes(i), blocks[i].size());
      EXPECT_EQ(Read(file.get(), i).value(), blocks[i]);
      if (n % 3 == 2) file->CloseReading();
    }
  }
}

TEST_F(SpillFileTest, DestructorDeletesTheFileAtEveryStage) {
  for (int stage = 0; stage < 4; ++stage) {
    {
      auto file = SpillFile::New(&fs_, "/0.run").value();
      EXPECT_EQ(fs_.List("/")->size(), 1u);
      if (stage > 0) {
        EXPECT_TRUE(Append(file.get(), "bytes").ok());
      }
      if (stage > 1) {
        EXPECT_TRUE(file->FinishWriting().ok());
      }
      if (stage > 2) {
        EXPECT_TRUE(Read(file.get(), 0).ok());
      }
    }
    EXPECT_TRUE(fs_.List("/")->empty());
    EXPECT_EQ(fs_.used_bytes(), 0u);
  }
}

TEST_F(SpillFileTest, FileThatIsThereIsNotTaken) {
  Overwrite("/0.run", "mine");
  EXPECT_TRUE(absl::IsAlreadyExists(SpillFile::New(&fs_, "/0.run").status()));
  EXPECT_EQ(ReadFile(&fs_, "/0.run").value(), "mine");
}

TEST_F(SpillFileTest, EveryFlippedByteIsFoundInItsBlock) {
  const std::vector<std::string> blocks = SomeBlocks();
  const auto file = Write(blocks);
  const std::string whole = ReadFile(&fs_, file->path()).value();
  size_t offset = 0;
  for (size_t block = 0; block < blocks.size(); ++block) {
    const size_t end = offset + kHeader + blocks[block].size();
    for (size_t at = offset; at < end; ++at) {
      for (const int bits : {1, 0x80, 0xff}) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ bits);
        Overwrite(file->path(), damaged);
        file->CloseReading();
        for (size_t i = 0; i < blocks.size(); ++i) {
          const auto got = Read(file.get(), i);
          if (i != block) {
            ASSERT_EQ(got.value(), blocks[i]);
            continue;
          }
          ASSERT_TRUE(absl::IsDataLoss(got.status())) << at << " " << got.status();
          ASSERT_TRUE(absl::StartsWith(got.status().message(),
                                       absl::StrCat("/0.run: offset ", offset, ": ")))
              << got.status();
        }
      }
    }
    offset = end;
  }
  EXPECT_EQ(offset, whole.size());
}

TEST_F(SpillFileTest, EveryCutIsFound) {
  const std::vector<std::string> blocks = SomeBlocks();
  const auto file = Write(blocks);
  const std::string whole = ReadFile(&fs_, file->path()).value();
  for (size_t size = 0; size < whole.size(); ++size) {
    Overwrite(file->path(), whole.substr(0, size));
    file->CloseReading();
    size_t offset = 0;
    for (size_t i = 0; i < blocks.size(); ++i) {
      const size_t end = offset + kHeader + blocks[i].size();
      const auto got = Read(file.get(), i);
      if (end <= size) {
        ASSERT_EQ(got.value(), blocks[i]);
      } else {
        ASSERT_TRUE(absl::IsDataLoss(got.status())) << size << " " << got.status();
        ASSERT_TRUE(
            absl::StartsWith(got.status().message(), absl::StrCat("/0.run: offset ", offset, ": ")))
            << got.status();
      }
      offset = end;
    }
  }
}

TEST_F(SpillFileTest, EqualBlocksOutOfPlaceAreFound) {
  const auto file = Write({"12345678", "87654321"});
  const std::string whole = ReadFile(&fs_, file->path()).value();
  Overwrite(file->path(), whole.substr(whole.size() / 2) + whole.substr(0, whole.size() / 2));
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(absl::IsDataLoss(Read(file.get(), i).status()));
}

TEST_F(SpillFileTest, FullDiskIsResourceExhausted) {
  fs_.SetCapacity(100);
  auto file = SpillFile::New(&fs_, "/0.run").value();
  EXPECT_TRUE(Append(file.get(), std::string(60, 'a')).ok());
  const absl::Status status = Append(file.get(), std::string(60, 'b'));
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "/0.run")) << status;
  file.reset();
  EXPECT_EQ(fs_.used_bytes(), 0u);
}

TEST_F(SpillFileTest, AnErrorAtEveryOperationIsReportedAndLeavesNothing) {
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite, Fault::kLateError,
                            Fault::kDoneButError}) {
    int errors = 0;
    for (uint64_t k = 0;; ++k) {
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), " operation ", k));
      FaultFileSystem faults(&fs_);
      faults.SetRule({fault, k});
      const absl::Status status = [&]() -> absl::Status {
        auto file = SpillFile::New(&faults, "/0.run");
        if (!file.ok()) return file.status();
        for (const std::string& block : SomeBlocks()) {
          const absl::Status appended = Append(file->get(), block);
          if (!appended.ok()) return appended;
        }
        const absl::Status finished = (*file)->FinishWriting();
        if (!finished.ok()) return finished;
        for (size_t i = 0; i < (*file)->blocks(); ++i) {
          const auto got = Read(file->get(), i);
          if (!got.ok()) return got.status();
          EXPECT_EQ(*got, SomeBlocks()[i]);
        }
        return absl::OkStatus();
      }();
      EXPECT_TRUE(fs_.List("/")->empty()) << status;
      if (faults.injected() == 0) {
        EXPECT_TRUE(status.ok()) << status;
        break;
      }
      if (!status.ok()) ++errors;
    }
    EXPECT_GT(errors, 3);
  }
}

}  // namespace
}  // namespace kvarts::groupby_internal
