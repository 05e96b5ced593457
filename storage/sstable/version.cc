#include "storage/sstable/version.h"

#include <algorithm>
#include <set>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kvarts::sstable {
namespace {

// a ends before b begins.
bool Before(const TableInfo& a, const TableInfo& b) { return a.IsPast(b.smallest); }

}  // namespace

uint64_t Version::LevelBytes(int i) const {
  uint64_t sum = 0;
  for (const TableFilePtr& file : level(i)) sum += file->info().size;
  return sum;
}

size_t Version::runs_on_level_0() const {
  size_t runs = 0;
  uint64_t last = 0;
  for (const TableFilePtr& file : level(0)) {
    if (runs == 0 || file->run() != last) ++runs;
    last = file->run();
  }
  return runs;
}

size_t Version::tables() const {
  size_t sum = 0;
  for (const auto& files : levels_) sum += files.size();
  return sum;
}

int Version::deepest() const {
  for (int i = kLevels - 1; i > 0; --i) {
    if (!level(i).empty()) return i;
  }
  return 0;
}

size_t FindTable(const std::vector<TableFilePtr>& files, absl::string_view key) {
  const auto it = std::partition_point(files.begin(), files.end(), [&](const TableFilePtr& file) {
    return file->info().IsPast(key);
  });
  return static_cast<size_t>(it - files.begin());
}

const TableFile* Version::Find(int i, absl::string_view key) const {
  const auto& files = level(i);
  const size_t place = FindTable(files, key);
  if (place == files.size() || !files[place]->info().Contains(key)) return nullptr;
  return files[place].get();
}

std::vector<TableFilePtr> Version::Overlapping(int i, absl::string_view begin,
                                               absl::string_view end) const {
  const auto& files = level(i);
  std::vector<TableFilePtr> found;
  // Only the runs of level 0 overlap each other: elsewhere all that are found stand together.
  for (size_t place = i == 0 ? 0 : FindTable(files, begin); place < files.size(); ++place) {
    if (files[place]->info().Overlaps(begin, end)) {
      found.push_back(files[place]);
    } else if (i > 0) {
      break;
    }
  }
  return found;
}

bool Version::HasBelow(int level, absl::string_view begin, absl::string_view end) const {
  for (int i = level + 1; i < kLevels; ++i) {
    const auto& files = this->level(i);
    const size_t place = FindTable(files, begin);
    if (place < files.size() && files[place]->info().Overlaps(begin, end)) return true;
  }
  return false;
}

absl::StatusOr<std::shared_ptr<const Version>> Version::Apply(const Version& base,
                                                              const VersionEdit& edit) {
  auto next = std::make_shared<Version>(base);
  for (const auto& [level, number] : edit.removed) {
    auto& files = next->levels_[static_cast<size_t>(level)];
    const auto it = std::find_if(files.begin(), files.end(), [n = number](const auto& file) {
      return file->info().number == n;
    });
    if (it == files.end()) {
      return absl::InternalError(absl::StrCat("table ", number, " is not on level ", level));
    }
    files.erase(it);
  }
  std::set<int> changed;
  for (const VersionEdit::Added& added : edit.added) {
    next->levels_[static_cast<size_t>(added.level)].push_back(added.file);
    changed.insert(added.level);
  }
  for (const int level : changed) {
    auto& files = next->levels_[static_cast<size_t>(level)];
    std::sort(files.begin(), files.end(), [level](const auto& a, const auto& b) {
      if (level == 0 && a->run() != b->run()) return a->run() > b->run();
      return a->info().smallest < b->info().smallest;
    });
  }
  // A version that breaks its rules would answer wrongly: it is never used.
  KVARTS_RETURN_IF_ERROR(next->Check());
  return std::shared_ptr<const Version>(std::move(next));
}

absl::Status Version::Check() const {
  std::set<uint64_t> numbers;
  for (int i = 0; i < kLevels; ++i) {
    const TableFile* last = nullptr;
    for (const TableFilePtr& file : level(i)) {
      if (!numbers.insert(file->info().number).second) {
        return absl::InternalError(absl::StrCat("table ", file->info().number, " is there twice"));
      }
      const bool same_run = last != nullptr && (i > 0 || last->run() == file->run());
      if (same_run && !Before(last->info(), file->info())) {
        return absl::InternalError(absl::StrCat("tables ", last->info().number, " and ",
                                                file->info().number, " of level ", i, " overlap"));
      }
      // Level 0 goes from the newest run to the oldest.
      if (i == 0 && last != nullptr && !same_run &&
          last->info().smallest_sequence <= file->info().largest_sequence) {
        return absl::InternalError(absl::StrCat("table ", last->info().number,
                                                " is not newer than table ", file->info().number));
      }
      last = file.get();
    }
  }
  return absl::OkStatus();
}

}  // namespace kvarts::sstable
