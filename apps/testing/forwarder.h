#ifndef KVARTS_APPS_TESTING_FORWARDER_H_
#define KVARTS_APPS_TESTING_FORWARDER_H_

#include "base/language.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace kvarts {

// A port of loopback that nobody listens at, for a program that is to be started there.
int FreePort();

// Thread-safe. Stands between clients and a server on loopback, and does to their connections what
// a bad network does. It need not be there before the server is.
class Forwarder {
 public:
  explicit Forwarder(int to_port);
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  int port() const { return port_; }
  // Each connection, of now and of later, passes so many bytes to the server, and then none; what
  // the server says goes through. SIZE_MAX: all.
  void StallAfter(size_t bytes) { stall_after_ = bytes; }
  // Each connection ends once it has passed so many bytes to the server. SIZE_MAX: none does.
  void CutAfter(size_t bytes) { cut_after_ = bytes; }
  // Nothing passes, in either direction, and connections stay as they are.
  void SetPaused(bool is_paused) { is_paused_ = is_paused; }
  // How many connections stand still, or were cut, by now.
  int stalled() const { return stalled_; }
  int cut() const { return cut_; }

 private:
  void Accept();
  void Forward(int client);

  const int to_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<bool> is_paused_{false};
  std::atomic<size_t> stall_after_;
  std::atomic<size_t> cut_after_;
  std::atomic<int> stalled_{0};
  std::atomic<int> cut_{0};
  Mutex mu_;
  std::vector<std::thread> connections_ ABSL_GUARDED_BY(mu_);
  std::thread acceptor_;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_FORWARDER_H_
