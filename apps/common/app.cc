#include "apps/common/app.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "apps/common/process_setup.h"
#include "base/size.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "gflags/gflags.h"
#include "glog/logging.h"

namespace kvarts {
namespace {

using gflags::CommandLineFlagInfo;

constexpr char kUsagePayload[] = "kvarts/usage";
// glog's, of use in every app, but no part of its --help.
constexpr absl::string_view kLogFlags[] = {"v", "vmodule", "minloglevel", "stderrthreshold"};

std::vector<CommandLineFlagInfo> OwnFlags(const AppInfo& info) {
  std::vector<CommandLineFlagInfo> all;
  gflags::GetAllFlags(&all);
  all.erase(std::remove_if(
                all.begin(), all.end(),
                [&info](const CommandLineFlagInfo& flag) { return flag.filename != info.file; }),
            all.end());
  return all;
}

std::optional<CommandLineFlagInfo> FindFlag(const AppInfo& info, absl::string_view name) {
  CommandLineFlagInfo flag;
  if (!gflags::GetCommandLineFlagInfo(std::string(name).c_str(), &flag)) return std::nullopt;
  if (flag.filename == info.file) return flag;
  for (const absl::string_view log_flag : kLogFlags) {
    if (name == log_flag) return flag;
  }
  return std::nullopt;
}

// `text` in lines of at most 80 columns, indented.
std::string Wrap(absl::string_view text, absl::string_view indent) {
  std::string out;
  size_t column = 0;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (column > 0 && column + 1 + word.size() > 80) {
      out += '\n';
      column = 0;
    }
    if (column == 0) {
      absl::StrAppend(&out, indent, word);
      column = indent.size() + word.size();
    } else {
      absl::StrAppend(&out, " ", word);
      column += 1 + word.size();
    }
  }
  return out + '\n';
}

std::string Help(const AppInfo& info) {
  std::string help = absl::StrCat(absl::StripSuffix(info.help, "\n"), "\n\nflags:\n");
  for (const CommandLineFlagInfo& flag : OwnFlags(info)) {
    // gflags writes all the digits that a double has: 0.98999999999999999.
    double number = 0;
    if (flag.type == "double" && absl::SimpleAtod(flag.default_value, &number)) {
      absl::StrAppend(&help, "  --", flag.name, "=", number, "\n");
    } else if (flag.type == "bool") {
      absl::StrAppend(&help, "  --", flag.name, flag.default_value == "true" ? "=true" : "=false",
                      "\n");
    } else {
      absl::StrAppend(&help, "  --", flag.name, "=",
                      flag.default_value.empty() ? "\"\"" : flag.default_value, "\n");
    }
    help += Wrap(flag.description, "      ");
  }
  return help + "  --help, --version\n";
}

// How many letters are to be put in, left out, changed, or exchanged with the next one, to make one
// word of the other (Damerau 1964, no letter touched twice).
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min(
          {d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

absl::Status UnknownFlag(const AppInfo& info, absl::string_view name) {
  std::string nearest;
  size_t least = name.size() / 3 + 1;  // other words have more in common with nothing
  // Some write "_" as "-", and some capitals.
  const std::string meant = absl::AsciiStrToLower(absl::StrReplaceAll(name, {{"-", "_"}}));
  if (name.size() <= 64) {  // a whole text may stand behind the dashes
    for (const CommandLineFlagInfo& flag : OwnFlags(info)) {
      const size_t distance = Distance(meant, flag.name);
      if (distance >= least) continue;
      least = distance;
      nearest = flag.name;
    }
  }
  return UsageError(absl::StrCat("unknown flag --", name,
                                 nearest.empty() ? "" : absl::StrCat("; --", nearest, " is one")));
}

// One flag, the argument before it being `args[*i]`; takes the next one where
// that holds its value. `given` has those before it.
absl::Status SetFlag(const AppInfo& info, const std::vector<std::string>& args, size_t* i,
                     std::set<std::string>* given) {
  absl::string_view text = args[*i];
  text.remove_prefix(absl::StartsWith(text, "--") ? 2 : 1);
  const size_t equals = text.find('=');
  std::string name(text.substr(0, equals));
  std::optional<std::string> value;
  if (equals != absl::string_view::npos) value = std::string(text.substr(equals + 1));
  std::optional<CommandLineFlagInfo> flag = FindFlag(info, name);
  if (!flag.has_value() && !value.has_value() && absl::StartsWith(name, "no")) {
    flag = FindFlag(info, absl::string_view(name).substr(2));
    if (flag.has_value() && flag->type != "bool") flag.reset();
    if (flag.has_value()) value = "false";
  }
  if (!flag.has_value()) return UnknownFlag(info, name);
  if (!given->insert(flag->name).second && flag->name == info.only_once) {
    return UsageError(absl::StrCat("the flag --", flag->name, " is given twice"));
  }
  if (!value.has_value()) {
    if (flag->type == "bool") {
      value = "true";
    } else if (*i + 1 < args.size()) {
      value = args[++*i];
    } else {
      return UsageError(absl::StrCat("the flag --", flag->name, " needs a value"));
    }
  }
  if (gflags::SetCommandLineOption(flag->name.c_str(), value->c_str()).empty()) {
    return UsageError(absl::StrCat("--", flag->name, " is \"", *value, "\"; expected ",
                                   flag->type == "bool"     ? "true or false"
                                   : flag->type == "double" ? "a number"
                                                            : "a whole number in range"));
  }
  return absl::OkStatus();
}

// Sets the flags; returns the other arguments, or nothing after --help and
// --version, which were answered.
absl::StatusOr<std::optional<std::vector<std::string>>> ParseArguments(
    const AppInfo& info, const std::vector<std::string>& args) {
  std::vector<std::string> rest;
  // A wrong flag elsewhere does not keep anyone from the help.
  for (const std::string& arg : args) {
    if (arg == "--") break;
    if (arg == "--help" || arg == "-help" || arg == "-h") {
      std::fputs(Help(info).c_str(), stdout);
      return std::optional<std::vector<std::string>>();
    }
    if (arg == "--version" || arg == "-version") {
      std::printf("%s %s\n", info.name.c_str(), kVersion);
      return std::optional<std::vector<std::string>>();
    }
  }
  std::set<std::string> given;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--") {
      rest.insert(rest.end(), args.begin() + static_cast<ptrdiff_t>(i) + 1, args.end());
      break;
    }
    if (args[i].size() > 1 && args[i][0] == '-' && !absl::ascii_isdigit(args[i][1])) {
      KVARTS_RETURN_IF_ERROR(SetFlag(info, args, &i, &given));
    } else {
      rest.push_back(args[i]);
    }
  }
  return std::optional<std::vector<std::string>>(std::move(rest));
}

absl::Status EnterUserDirectory() {
  const char* const directory = std::getenv("BUILD_WORKING_DIRECTORY");
  if (directory == nullptr || directory[0] == '\0') return absl::OkStatus();
  if (::chdir(directory) == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("cannot enter BUILD_WORKING_DIRECTORY ", directory, ": ", std::strerror(errno)));
}

int Fail(const AppInfo& info, const absl::Status& status) {
  std::fflush(stdout);
  const std::string line = IsUsageError(status)
                               ? absl::StrCat(info.name, ": ", OneLine(status.message()), " (",
                                              info.name, " --help shows the usage)\n")
                               : absl::StrCat(info.name, ": ", OneLine(status.message()), "\n");
  std::fputs(line.c_str(), stderr);
  return IsUsageError(status) ? 2 : 1;
}

int FlushOutput(const AppInfo& info, int code) {
  const absl::Status flushed = FlushStandardOutput();
  return flushed.ok() ? code : Fail(info, flushed);
}

}  // namespace

int RunApp(int argc, char** argv, const AppInfo& info,
           absl::FunctionRef<absl::StatusOr<int>(const std::vector<std::string>& args)> run) {
  PrepareProcess(info.name);
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(info.name.c_str());
  absl::Status entered = EnterUserDirectory();
  if (!entered.ok()) return Fail(info, entered);
  absl::StatusOr<std::optional<std::vector<std::string>>> args =
      ParseArguments(info, std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
  if (!args.ok()) return Fail(info, args.status());
  if (!args->has_value()) return FlushOutput(info, 0);
  const absl::StatusOr<int> code = run(**args);
  if (!code.ok()) return Fail(info, code.status());
  return FlushOutput(info, *code);
}

absl::Status UsageError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload(kUsagePayload).has_value();
}

absl::StatusOr<uint64_t> SizeFlag(absl::string_view name, absl::string_view value) {
  const absl::StatusOr<uint64_t> size = ParseSize(value);
  if (size.ok()) return size;
  return UsageError(absl::StrCat("--", name, ": ", size.status().message()));
}

std::string OneLine(absl::string_view message) {
  std::string line;
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      absl::StrAppend(&line, absl::StrFormat("\\x%02x", byte));
    } else {
      line.push_back(c);
    }
  }
  return line;
}

}  // namespace kvarts
