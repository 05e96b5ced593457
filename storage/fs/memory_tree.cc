#include "storage/fs/memory_tree.h"

#include <cerrno>
#include <set>
#include <utility>

#include "absl/strings/str_split.h"

namespace kvarts {
namespace {

using Copies = std::map<const MemoryNode*, MemoryNodePtr>;

std::vector<std::string> Components(absl::string_view path) {
  std::vector<std::string> parts;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.emplace_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return parts;
}

// The node as `names` and the crash leave it; two names of one file stay so.
MemoryNodePtr CopyNode(MemoryNode* node, std::map<const MemoryNode*, MemoryNode::Names>* names,
                       CrashPolicy::Data policy, CrashRandom* random, Copies* copies) {
  MemoryNodePtr& copy = (*copies)[node];
  if (copy == nullptr) {
    copy = std::make_shared<MemoryNode>();
    copy->inode = node->inode;
    copy->is_directory = node->is_directory;
    copy->modified_ns = node->modified_ns;
    if (!node->is_directory) copy->image = node->image.AfterCrash(policy, random);
    copy->reserved = node->reserved;
    const auto changed = names->find(node);
    const MemoryNode::Names& entries = changed == names->end() ? node->disk : changed->second;
    for (const auto& [name, child] : entries) {
      copy->live[name] = CopyNode(child.get(), names, policy, random, copies);
    }
    copy->disk = copy->live;
  }
  ++copy->links;
  return copy;
}

}  // namespace

MemoryTree::MemoryTree() : root_(NewNode(/*is_directory=*/true)) {}

MemoryNodePtr MemoryTree::NewNode(bool is_directory) {
  auto node = std::make_shared<MemoryNode>();
  node->inode = next_inode_++;
  node->is_directory = is_directory;
  node->modified_ns = Tick();
  return node;
}

int MemoryTree::Find(absl::string_view path, MemoryNodePtr* node) const {
  if (path.empty()) return ENOENT;
  *node = root_;
  for (const std::string& part : Components(path)) {
    if (!(*node)->is_directory) return ENOTDIR;
    const auto found = (*node)->live.find(part);
    if (found == (*node)->live.end()) return ENOENT;
    *node = MemoryNodePtr(found->second);
  }
  return 0;
}

int MemoryTree::FindParent(absl::string_view path, MemoryNodePtr* dir, std::string* name) const {
  if (path.empty()) return ENOENT;
  const std::vector<std::string> parts = Components(path);
  if (parts.empty()) return EBUSY;
  *name = parts.back();
  *dir = root_;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const auto found = (*dir)->live.find(parts[i]);
    if (found == (*dir)->live.end()) return ENOENT;
    *dir = MemoryNodePtr(found->second);
    if (!(*dir)->is_directory) return ENOTDIR;
  }
  return 0;
}

void MemoryTree::Apply(Change change) {
  std::vector<MemoryNodePtr> unlinked;
  for (const Entry& entry : change) {
    MemoryNodePtr& live = entry.dir->live[entry.name];
    if (live != nullptr) {
      --live->links;
      unlinked.push_back(live);
    }
    live = entry.node;
    if (live != nullptr) {
      ++live->links;
    } else {
      entry.dir->live.erase(entry.name);
    }
    entry.dir->modified_ns = Tick();
  }
  for (const MemoryNodePtr& node : unlinked) on_unlink(node.get());
  changes_.push_back(std::move(change));
}

void MemoryTree::ApplyToDisk(const Change& change) {
  for (const Entry& entry : change) {
    if (entry.node != nullptr) {
      entry.dir->disk[entry.name] = entry.node;
    } else {
      entry.dir->disk.erase(entry.name);
    }
  }
}

void MemoryTree::Add(const MemoryNodePtr& dir, const std::string& name, const MemoryNodePtr& node) {
  Apply({{dir, name, node}});
}

void MemoryTree::Remove(const MemoryNodePtr& dir, const std::string& name) {
  Apply({{dir, name, nullptr}});
}

int MemoryTree::Rename(absl::string_view from, absl::string_view to) {
  MemoryNodePtr from_dir, to_dir;
  std::string from_name, to_name;
  if (const int error = FindParent(from, &from_dir, &from_name)) return error;
  const auto found = from_dir->live.find(from_name);
  if (found == from_dir->live.end()) return ENOENT;
  const MemoryNodePtr node = found->second;
  if (const int error = FindParent(to, &to_dir, &to_name)) return error;
  if (node->is_directory && from_dir != to_dir) return EXDEV;
  const auto target = to_dir->live.find(to_name);
  if (target != to_dir->live.end()) {
    const MemoryNode& old = *target->second;
    if (&old == node.get()) return 0;  // two names of one file: as POSIX has it
    if (old.is_directory != node->is_directory) return old.is_directory ? EISDIR : ENOTDIR;
    if (!old.live.empty()) return ENOTEMPTY;
  }
  Apply({{from_dir, from_name, nullptr}, {to_dir, to_name, node}});
  return 0;
}

void MemoryTree::SyncDir(const MemoryNodePtr& dir) {
  std::set<const MemoryNode*> wanted = {dir.get()};
  std::vector<bool> chosen(changes_.size());
  for (size_t i = changes_.size(); i-- > 0;) {
    for (const Entry& entry : changes_[i]) {
      if (wanted.count(entry.dir.get()) > 0) chosen[i] = true;
    }
    if (!chosen[i]) continue;
    for (const Entry& entry : changes_[i]) wanted.insert(entry.dir.get());
  }
  std::vector<Change> left;
  for (size_t i = 0; i < changes_.size(); ++i) {
    if (chosen[i]) {
      ApplyToDisk(changes_[i]);
    } else {
      left.push_back(std::move(changes_[i]));
    }
  }
  changes_ = std::move(left);
}

void MemoryTree::SyncAll() {
  for (const Change& change : changes_) ApplyToDisk(change);
  changes_.clear();
  ForEachFile([](const MemoryNodePtr& file) { file->image.Sync(); });
}

MemoryTree MemoryTree::AfterCrash(CrashPolicy policy, CrashRandom* random) const {
  // The changed directories as the crash leaves them.
  std::map<const MemoryNode*, MemoryNode::Names> names;
  // Directories from which a change was lost: all later ones in them are, too.
  std::set<const MemoryNode*> cut;
  for (const Change& change : changes_) {
    bool keep = policy.names == CrashPolicy::Names::kKept ||
                (policy.names == CrashPolicy::Names::kPrefix && random->UpTo(3) != 0);
    for (const Entry& entry : change) keep = keep && cut.count(entry.dir.get()) == 0;
    for (const Entry& entry : change) {
      if (!keep) {
        cut.insert(entry.dir.get());
        continue;
      }
      MemoryNode::Names& changed =
          names.try_emplace(entry.dir.get(), entry.dir->disk).first->second;
      if (entry.node != nullptr) {
        changed[entry.name] = entry.node;
      } else {
        changed.erase(entry.name);
      }
    }
  }
  MemoryTree after;
  Copies copies;
  after.root_ = CopyNode(root_.get(), &names, policy.data, random, &copies);
  after.next_inode_ = next_inode_;
  after.ticks_ = ticks_;
  return after;
}

void MemoryTree::ForEachFile(const std::function<void(const MemoryNodePtr&)>& visit) const {
  std::set<const MemoryNode*> seen;
  std::vector<MemoryNodePtr> todo = {root_};
  while (!todo.empty()) {
    const MemoryNodePtr node = std::move(todo.back());
    todo.pop_back();
    if (!seen.insert(node.get()).second) continue;
    if (!node->is_directory) visit(node);
    for (const auto& [name, child] : node->live) todo.push_back(child);
  }
}

}  // namespace kvarts
