#ifndef KVARTS_STORAGE_LAYERS_CACHE_H_
#define KVARTS_STORAGE_LAYERS_CACHE_H_

#include "base/language.h"

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "storage/store.h"

namespace kvarts {

struct CacheOptions {
  uint64_t bytes = uint64_t{64} << 20;  // of memory in all, what the cache itself needs too
  const Clock* clock = Clock::Real();   // that of the store: decides what has expired
};

// `under`, with reads of keys cached: values, their metadata, and that a key is
// absent. For stores whose reads wait (remote ones, or of disks): one that is
// mapped is faster by itself.
//
// All writes must go through this store; then nothing stale is ever read, also
// beside writes that are under way: keys are forgotten before they are written,
// and not taken up again before the write has returned. After a write that ended
// with kDeadlineExceeded, which may be applied at any later time, its keys (and
// others that share their place, one in a thousand) are not cached any more.
// Where MultiGet() is atomic it stays so: a batch comes from the cache as a whole
// or not at all. Reads with a snapshot or stamps, and scans, pass through.
//
// What is forgotten first is chosen by S3-FIFO (Yang et al., SOSP 2023): a scan
// over many keys does not push out those that are read again and again.
std::unique_ptr<Store> NewCacheStore(std::unique_ptr<Store> under, const CacheOptions& options);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_LAYERS_CACHE_H_
