#ifndef KVARTS_BASE_PREFETCH_H_
#define KVARTS_BASE_PREFETCH_H_

namespace kvarts {

// Begins to read the cache line at `p` into all caches, without waiting and
// without a fault, whatever `p` is.
//
// Not __builtin_prefetch on x86: gcc takes a function of nothing but that for a
// pure one whose result nobody uses, and leaves the calls of it out.
inline void PrefetchRead(const void* p) {
#if defined(__x86_64__)
  asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(p)));
#else
  __builtin_prefetch(p);
#endif
}

}  // namespace kvarts

#endif  // KVARTS_BASE_PREFETCH_H_
