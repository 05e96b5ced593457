#include "storage/fs/memory_core.h"

#include <algorithm>
#include <utility>

namespace kvarts {
namespace {

uint64_t SpaceOf(const MemoryNode& node) {
  return std::max<uint64_t>(node.image.live().size(), node.reserved);
}

}  // namespace

void MemoryCore::Recharge(MemoryNode* node) {
  const uint64_t charge = node->links > 0 || node->handles > 0 ? SpaceOf(*node) : 0;
  used += charge - node->charged;
  node->charged = charge;
}

uint64_t MemoryCore::Room(const MemoryNode& node, uint64_t end) const {
  const uint64_t now = SpaceOf(node);
  const uint64_t left = capacity > used ? capacity - used : 0;
  return end <= now ? end : now + std::min(end - now, left);
}

MemoryOperation::MemoryOperation(MemoryCore* core, const FileOperation& operation)
    : operation_(operation) {
  {
    MutexLock lock(&core->mu);
    ++core->operations;
    hook_ = core->hook;
  }
  if (hook_ != nullptr) (*hook_)(MemoryFileSystem::Moment::kBefore, operation_);
}

MemoryOperation::~MemoryOperation() {
  if (hook_ != nullptr) (*hook_)(MemoryFileSystem::Moment::kAfter, operation_);
}

MemoryHandle::MemoryHandle(std::shared_ptr<MemoryCore> with_core, MemoryNodePtr with_node)
    : core(std::move(with_core)), node(std::move(with_node)) {
  ++node->handles;
}

MemoryHandle::~MemoryHandle() {
  MutexLock lock(&core->mu);
  --node->handles;
  core->Recharge(node.get());
}

}  // namespace kvarts
