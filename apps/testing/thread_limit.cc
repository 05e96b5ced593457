// Preloaded into a program under test (LD_PRELOAD): that may start as many threads, in all,
// as KVARTS_THREAD_LIMIT says. Further ones fail with EAGAIN, as at a limit of processes,
// which root, whom the tests may run as, is not subject to.

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(::dlsym(RTLD_NEXT, "pthread_create"));
  static std::atomic<int> left{[] {
    const char* const limit = std::getenv("KVARTS_THREAD_LIMIT");
    return limit == nullptr ? 1 << 30 : std::atoi(limit);
  }()};
  if (left.fetch_sub(1) <= 0) {
    left.fetch_add(1);
    return EAGAIN;
  }
  return create(thread, attributes, start, argument);
}
