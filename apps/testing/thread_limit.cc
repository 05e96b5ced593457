// Preloaded into a program under test (LD_PRELOAD): that may have as many threads at a time,
// beside its first, as KVARTS_THREAD_LIMIT says. Further ones fail with EAGAIN, as at a limit of
// processes, which root, whom the tests may run as, is not subject to.

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

namespace {

using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);

struct Begun {
  void* (*start)(void*);
  void* argument;
};

std::atomic<int>& Left() {
  static std::atomic<int> left{[] {
    const char* const limit = std::getenv("KVARTS_THREAD_LIMIT");
    return limit == nullptr ? 1 << 30 : std::atoi(limit);
  }()};
  return left;
}

void* Run(void* begun) {
  const Begun own = *static_cast<Begun*>(begun);
  delete static_cast<Begun*>(begun);
  void* const result = own.start(own.argument);
  Left().fetch_add(1);
  return result;
}

}  // namespace

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc's are reserved.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) noexcept {
  static const auto create = reinterpret_cast<Create>(::dlsym(RTLD_NEXT, "pthread_create"));
  auto* const begun = new (std::nothrow) Begun{start, argument};
  if (begun == nullptr || Left().fetch_sub(1) <= 0) {
    if (begun != nullptr) Left().fetch_add(1);
    delete begun;
    return EAGAIN;
  }
  return create(thread, attributes, Run, begun);
}
