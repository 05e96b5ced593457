#ifndef KVARTS_BASE_LOST_PAGES_H_
#define KVARTS_BASE_LOST_PAGES_H_

#include <atomic>
#include <cstdint>

namespace kvarts {

// How often a page of any mapped file was touched after the file had shrunk, and
// read as zeros (storage/fs counts, in its handler of SIGBUS). Thread-safe. Who
// sends bytes that may be mapped over some time asks before and meanwhile: where it
// has moved, what is left may not be what it was.
inline std::atomic<uint64_t> lost_pages{0};

}  // namespace kvarts

#endif  // KVARTS_BASE_LOST_PAGES_H_
