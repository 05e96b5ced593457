#ifndef KVARTS_APPS_TESTING_PROGRAMS_H_
#define KVARTS_APPS_TESTING_PROGRAMS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "apps/testing/process.h"

namespace kvarts {

// Built for one, the programs under test are slow, and their memory is also its.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// A directory of this test's own, empty at first; its path is absolute. A
// program that runs in it may use short relative paths, as Unix sockets need.
std::string TestDirectory();

void WriteTestFile(const std::string& path, absl::string_view contents);
std::string ReadTestFile(const std::string& path);

// "KEY VALUE" lines of `count` UUID v4 keys: TestKey(i) and "value I".
std::string TestKey(int i);
std::string TestData(int count);

// A server under test and where it listens.
struct TestServer {
  // Starts a program with a ready line in `directory` and waits for the line.
  TestServer(const std::vector<std::string>& command, const std::string& directory,
             const ProcessOptions& options = {});

  Process process;
  std::string ready;  // the ready line; "" where the program ended without
  // Each also "unix:PATH" or "".
  std::string native;  // "tcp://127.0.0.1:7700", "tls://..."
  std::string resp;    // "127.0.0.1:7379"
  std::string http;    // "127.0.0.1:7780"
};

// A blocking connection to "HOST:PORT", "SCHEME://HOST:PORT" or "unix:PATH", of a
// path relative to `directory`. Not thread-safe.
class TestSocket {
 public:
  TestSocket(absl::string_view address, const std::string& directory);
  ~TestSocket();
  TestSocket(const TestSocket&) = delete;
  TestSocket& operator=(const TestSocket&) = delete;

  bool connected() const { return fd_ >= 0; }
  // From now on sending and receiving for longer than this ends as if the peer had gone.
  void SetTimeout(int seconds);
  // False where the peer has gone.
  bool Send(absl::string_view bytes);
  // Ends this direction; the other goes on.
  void CloseWrite();
  // Has the end of this object reset the connection.
  void Reset();
  // Exactly `n` bytes, or fewer at the end.
  std::string Receive(size_t n);
  // At least one byte; "" at the end.
  std::string ReceiveSome();
  std::string ReceiveAll();

 private:
  int fd_ = -1;
};

// The whole response, head and body, to one request on a connection of its own.
std::string HttpGet(absl::string_view address, absl::string_view target,
                    const std::string& directory);

}  // namespace kvarts

#endif  // KVARTS_APPS_TESTING_PROGRAMS_H_
