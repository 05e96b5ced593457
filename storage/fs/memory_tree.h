#ifndef KVARTS_STORAGE_FS_MEMORY_TREE_H_
#define KVARTS_STORAGE_FS_MEMORY_TREE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/fs/crash_policy.h"
#include "storage/fs/memory_image.h"

namespace kvarts {

// A file or a directory, whatever names it has.
struct MemoryNode {
  using Names = std::map<std::string, std::shared_ptr<MemoryNode>, std::less<>>;

  uint64_t inode = 0;
  bool is_directory = false;
  int64_t modified_ns = 0;

  // A file's.
  MemoryImage image;
  uint64_t reserved = 0;  // preallocated: space up to here is taken
  uint64_t charged = 0;   // bytes that count against the capacity
  int links = 0;          // live names
  int handles = 0;        // open files and mappings
  bool locked = false;

  // A directory's: as processes see it, and as the disk has it.
  Names live;
  Names disk;
};
using MemoryNodePtr = std::shared_ptr<MemoryNode>;

// Not thread-safe. Directories and names, and the changes of names that are not
// on the disk yet, in one order over all directories.
//
// Paths: "a/b", "/a/b" and "a/./x/../b" are the same; there is no working
// directory. Methods return 0 or an errno value.
class MemoryTree {
 public:
  MemoryTree();

  int Find(absl::string_view path, MemoryNodePtr* node) const;
  // The directory that holds or may hold `path`, and its last name. EBUSY for the
  // root.
  int FindParent(absl::string_view path, MemoryNodePtr* dir, std::string* name) const;

  MemoryNodePtr NewNode(bool is_directory);
  void Add(const MemoryNodePtr& dir, const std::string& name, const MemoryNodePtr& node);
  void Remove(const MemoryNodePtr& dir, const std::string& name);
  // The name must be there. A directory keeps its parent (EXDEV), so that no crash can
  // part it from the root.
  int Rename(absl::string_view from, absl::string_view to);

  // Puts the changes in `dir` on the disk; and, because a change is whole and a
  // directory's changes keep their order, those they need in others.
  void SyncDir(const MemoryNodePtr& dir);
  void SyncAll();

  // As the disk has it, with what the policy keeps besides.
  MemoryTree AfterCrash(CrashPolicy policy, CrashRandom* random) const;

  // A time for a change: counts up, so that each change is later than the last.
  int64_t Tick() { return ++ticks_; }

  // All files with a live name, each once.
  void ForEachFile(const std::function<void(const MemoryNodePtr&)>& visit) const;

  // Called for a node that has lost a name.
  std::function<void(MemoryNode*)> on_unlink = [](MemoryNode*) {};

 private:
  // `node` null: the name goes.
  struct Entry {
    MemoryNodePtr dir;
    std::string name;
    MemoryNodePtr node;
  };
  // One step that a crash leaves whole or undone.
  using Change = std::vector<Entry>;

  void Apply(Change change);
  static void ApplyToDisk(const Change& change);

  MemoryNodePtr root_;
  std::vector<Change> changes_;
  uint64_t next_inode_ = 1;
  int64_t ticks_ = int64_t{1'600'000'000} * 1'000'000'000;  // looks like a time
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_MEMORY_TREE_H_
