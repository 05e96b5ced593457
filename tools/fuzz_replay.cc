// The main() of a fuzz target's replay test: gives LLVMFuzzerTestOneInput() the
// empty input, and each file of the folders it is called with.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// A copy of the exact size, on the heap: AddressSanitizer then sees a read
// past its end.
void Run(const std::vector<char>& bytes) {
  const std::vector<uint8_t> input(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i], error)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    if (error) {
      std::fprintf(stderr, "%s: %s\n", argv[i], error.message().c_str());
      return 1;
    }
  }
  if (files.empty()) {
    std::fprintf(stderr, "no corpus: name its folders\n");
    return 1;
  }
  std::sort(files.begin(), files.end());

  Run({});
  for (const std::filesystem::path& path : files) {
    // Before the run: after a crash the last line names the input.
    std::fprintf(stderr, "%s\n", path.c_str());
    std::ifstream file(path, std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
      return 1;
    }
    Run({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  }
  std::fprintf(stderr, "%zu inputs replayed\n", files.size() + 1);
  return 0;
}
