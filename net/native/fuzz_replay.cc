#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

// Gives each file of the folders that are its arguments to the fuzz target, and
// then all kinds of damage to it: the findings of the fuzzer stay found.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void Try(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

void Replay(const std::string& input) {
  Try(input);
  for (size_t cut = 0; cut < input.size(); ++cut) Try(input.substr(0, cut));
  for (size_t at = 1; at < input.size(); ++at) {
    for (const int flip : {1, 0x10, 0x80, 0xff}) {
      std::string changed = input;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      Try(changed);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      Replay(std::string(std::istreambuf_iterator<char>(file), {}));
      ++files;
    }
  }
  std::printf("%d inputs, each whole, cut at every byte and with every byte changed\n", files);
  return files > 0 ? 0 : 1;
}
