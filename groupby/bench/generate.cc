// The text that the group-by is measured with, from a seed.
//
//   bazel run //groupby/bench:generate -- --rows=20000000 --keys=5000000 --output=rows.tsv

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "gflags/gflags.h"
#include "groupby/bench/bench_rows.h"

DEFINE_string(output, "-", "Where the lines go; \"-\": to standard output.");
DEFINE_uint64(rows, 1000000, "Rows.");
DEFINE_uint64(keys, 0, "Numbers of keys to choose from; 0: a quarter of the rows, 1000 of `few`.");
DEFINE_string(shape, "uniform", "uniform, zipf, few, distinct, equal, half (one key has half).");
DEFINE_double(theta, 0.99, "Of zipf: the larger, the more the first keys have.");
DEFINE_uint64(key_bytes, 12, "Hexadecimal digits of a key.");
DEFINE_uint64(row_bytes, 100, "Bytes of a line, with its newline.");
DEFINE_bool(integers, false, "Pairs of decimal integers; the sizes of keys and rows are theirs.");
DEFINE_uint64(seed, 1, "Same seed, same text.");
DEFINE_int32(threads, 2, "Threads; they do not change the text.");

namespace kvarts {
namespace {

// Thread-safe. Writes blocks in their order.
class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}

  // False after an error; errno says why the first time.
  bool Write(uint64_t block, const std::string& text) {
    MutexLock lock(&mu_);
    while (next_ != block && error_ == 0) turn_.Wait(&mu_);
    size_t done = 0;
    while (done < text.size() && error_ == 0) {
      const ssize_t n = write(fd_, text.data() + done, text.size() - done);
      if (n >= 0) {
        done += static_cast<size_t>(n);
      } else if (errno != EINTR) {
        error_ = errno;
      }
    }
    ++next_;
    turn_.SignalAll();
    return error_ == 0;
  }

  int error() {
    MutexLock lock(&mu_);
    return error_;
  }

 private:
  const int fd_;
  Mutex mu_;
  CondVar turn_;
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 0;
  int error_ ABSL_GUARDED_BY(mu_) = 0;
};

int Fail(const std::string& message, int code) {
  absl::FPrintF(stderr, "generate: %s\n", message);
  return code;
}

int Generate() {
  BenchRowsOptions options;
  const absl::StatusOr<BenchShape> shape = ParseBenchShape(FLAGS_shape);
  if (!shape.ok()) return Fail(std::string(shape.status().message()), 2);
  options.shape = *shape;
  options.rows = FLAGS_rows;
  options.keys = FLAGS_keys;
  options.theta = FLAGS_theta;
  options.key_bytes = FLAGS_key_bytes;
  options.row_bytes = FLAGS_row_bytes;
  options.integers = FLAGS_integers;
  options.seed = FLAGS_seed;
  const absl::StatusOr<BenchRows> rows = BenchRows::New(options);
  if (!rows.ok()) return Fail(std::string(rows.status().message()), 2);
  if (FLAGS_threads < 1) return Fail("--threads is below 1", 2);

  std::string path = FLAGS_output;
  const char* const dir = std::getenv("BUILD_WORKING_DIRECTORY");  // under `bazel run`
  if (dir != nullptr && path != "-" && path[0] != '/') path = absl::StrCat(dir, "/", path);
  const int fd = path == "-" ? STDOUT_FILENO
                             : open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return Fail(absl::StrCat(path, ": ", std::strerror(errno)), 1);

  Output output(fd);
  std::atomic<uint64_t> next{0};
  kvarts::ForkJoin(FLAGS_threads, [&](int) {
    std::string text;
    for (uint64_t block; (block = next.fetch_add(1)) < rows->blocks();) {
      text.clear();
      rows->AppendBlock(block, &text);
      if (!output.Write(block, text)) return;
    }
  });
  int error = output.error();
  if (close(fd) != 0 && error == 0) error = errno;
  return error == 0 ? 0 : Fail(absl::StrCat(path, ": ", std::strerror(error)), 1);
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  gflags::SetUsageMessage("writes lines key<TAB>value for the benchmarks of the group-by");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  return kvarts::Generate();
}
