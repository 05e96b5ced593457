#include "storage/fs/mapping_table.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/lost_pages.h"
#include "base/mutex.h"

namespace kvarts {
namespace {

struct Slot {
  std::atomic<uint32_t> version{0};
  std::atomic<uint32_t> losses{0};
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};
};
static_assert(std::atomic<uintptr_t>::is_always_lock_free, "read in a signal handler");

// Constant-initialised: the handler may not run an initialiser.
Slot g_slots[MappingTable::kCapacity];
std::atomic<uint32_t> g_used{0};  // slots ever used: [0, g_used)
std::atomic<uintptr_t> g_page_size{4096};

struct FreeSlots {
  Mutex mu;
  std::vector<int> slots ABSL_GUARDED_BY(mu);
};

FreeSlots& Free() {
  static FreeSlots* const free = new FreeSlots;
  return *free;
}

void SetSlot(Slot& slot, uintptr_t begin, uintptr_t end) {
  slot.version.fetch_add(1);
  slot.begin.store(begin);
  slot.end.store(end);
  slot.losses.store(0);
  slot.version.fetch_add(1);
}

// Async-signal-safe. The slot that holds `address`, and where its mapping ends.
Slot* Find(uintptr_t address, uintptr_t* end) {
  const uint32_t used = g_used.load();
  for (uint32_t i = 0; i < used; ++i) {
    Slot& slot = g_slots[i];
    const uint32_t version = slot.version.load();
    const uintptr_t begin = slot.begin.load();
    *end = slot.end.load();
    if (address < begin || address >= *end) continue;
    if (version % 2 == 0 && version == slot.version.load()) return &slot;
  }
  return nullptr;
}

// The system call itself: the sanitizers' mmap() is not for signal handlers.
bool MapZeros(uintptr_t begin, uintptr_t size) {
  return syscall(SYS_mmap, begin, size, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0) != -1;
}

bool Rescue(uintptr_t address) {
  uintptr_t end = 0;
  Slot* const slot = Find(address, &end);
  if (slot == nullptr) return false;
  const uintptr_t page_size = g_page_size.load();
  const uintptr_t page = address & ~(page_size - 1);
  // Before there are zeros to be read.
  slot->losses.fetch_add(1);
  lost_pages.fetch_add(1);
  // Zeros for one page, because others may be there still; for all that follow
  // where the kernel has no room to split mappings further.
  return MapZeros(page, page_size) || MapZeros(page, end - page);
}

void OnSigbus(int signal_number, siginfo_t* info, void*) {
  const int saved_errno = errno;
  // A positive code is the kernel's: the address is where the access failed.
  const bool rescued = info->si_code > 0 && Rescue(reinterpret_cast<uintptr_t>(info->si_addr));
  if (!rescued) {
    struct sigaction fallback = {};
    fallback.sa_handler = SIG_DFL;
    sigaction(signal_number, &fallback, nullptr);
    raise(signal_number);  // delivered once this handler has returned
  }
  errno = saved_errno;
}

}  // namespace

int MappingTable::Add(const void* data, size_t size) {
  FreeSlots& free = Free();
  MutexLock lock(&free.mu);
  int index;
  if (!free.slots.empty()) {
    index = free.slots.back();
    free.slots.pop_back();
  } else if (g_used.load() < kCapacity) {
    index = static_cast<int>(g_used.load());
  } else {
    return -1;
  }
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data);
  // The last page counts as a whole, as it is mapped.
  const uintptr_t page_size = g_page_size.load();
  SetSlot(g_slots[index], begin, (begin + size + page_size - 1) & ~(page_size - 1));
  if (static_cast<uint32_t>(index) == g_used.load()) g_used.fetch_add(1);
  return index;
}

void MappingTable::Remove(int slot) {
  FreeSlots& free = Free();
  MutexLock lock(&free.mu);
  SetSlot(g_slots[slot], 0, 0);
  free.slots.push_back(slot);
}

const std::atomic<uint32_t>& MappingTable::losses(int slot) { return g_slots[slot].losses; }

void MappingTable::InstallHandler() {
  g_page_size.store(static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)));
  struct sigaction action = {};
  action.sa_sigaction = OnSigbus;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace kvarts
