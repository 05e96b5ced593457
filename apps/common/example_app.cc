// The smallest program over RunApp(), for its test: prints what it was given.

#include <cstdio>
#include <string>
#include <vector>

#include "apps/common/app.h"
#include "gflags/gflags.h"

DEFINE_string(text, "abc", "A text.");
DEFINE_string(size, "64MiB",
              "A size, with a description that is so long that it has to be broken into several "
              "lines of eighty columns each.");
DEFINE_int32(number, -7, "A number.");
DEFINE_double(part, 0.99, "A part.");
DEFINE_bool(flag, false, "A switch.");

int main(int argc, char** argv) {
  const kvarts::AppInfo info = {"example", __FILE__,
                                "example: an example.\n\nusage: example [X...]", "text"};
  return kvarts::RunApp(
      argc, argv, info, [](const std::vector<std::string>& args) -> absl::StatusOr<int> {
        absl::StatusOr<uint64_t> size = kvarts::SizeFlag("size", FLAGS_size);
        if (!size.ok()) return size.status();
        if (!args.empty() && args[0] == "usage") return kvarts::UsageError("wrongly called");
        if (!args.empty() && args[0] == "fail") return absl::InternalError("two\nlines");
        if (!args.empty() && args[0] == "three") return 3;
        if (!args.empty() && args[0] == "cat") {
          std::FILE* const file = std::fopen(args[1].c_str(), "r");
          if (file == nullptr) return absl::NotFoundError("no such file");
          for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) std::putchar(c);
          std::fclose(file);
          return 0;
        }
        std::printf("text=%s size=%llu number=%d flag=%d", FLAGS_text.c_str(),
                    static_cast<unsigned long long>(*size), FLAGS_number, FLAGS_flag);
        for (const std::string& arg : args) std::printf(" [%s]", arg.c_str());
        std::printf("\n");
        return 0;
      });
}
