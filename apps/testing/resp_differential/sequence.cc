#include "apps/testing/resp_differential/sequence.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "apps/testing/resp_differential/compare.h"
#include "apps/testing/resp_differential/random_bytes.h"
#include "apps/testing/resp_differential/reply.h"

namespace kvarts {
namespace resp_differential {
namespace {

using Words = std::vector<std::string>;

const std::string& Key(size_t i) {
  static const Words& keys =
      *new Words{"a", "b", "c", "key:1", "key:2", "", std::string("\0\r\n\xff", 4), "{tag}x", "A"};
  return keys[i % keys.size()];
}
constexpr size_t kKeys = 9;

// How often a command comes, and what it looks like: words, and in <> what is chosen.
struct Form {
  int weight;
  const char* text;
};

constexpr Form kForms[] = {
    {12, "SET <k> <v> <set>"},
    {6, "GET <k>"},
    {3, "SETNX <k> <v>"},
    {3, "SETEX <k> <sec> <v>"},
    {3, "PSETEX <k> <ms> <v>"},
    {4, "MSET <pairs>"},
    {3, "MSETNX <pairs>"},
    {4, "MGET <keys>"},
    {3, "GETSET <k> <v>"},
    {3, "GETDEL <k>"},
    {5, "GETEX <k> <getex>"},
    {5, "APPEND <k> <v>"},
    {2, "STRLEN <k>"},
    {5, "SETRANGE <k> <offset> <v>"},
    {5, "GETRANGE <k> <int> <int>"},
    {2, "SUBSTR <k> <int> <int>"},
    {5, "INCR <k>"},
    {3, "DECR <k>"},
    {5, "INCRBY <k> <int>"},
    {4, "DECRBY <k> <int>"},
    {6, "INCRBYFLOAT <k> <float>"},
    {4, "LCS <k> <k> <lcs>"},
    {5, "EVAL <script>"},
    {2, "EVAL_RO <script>"},
    {1, "EVALSHA <v> <int> <k>"},
    {4, "SETBIT <k> <bit> <one>"},
    {3, "GETBIT <k> <bit>"},
    {3, "BITCOUNT <k> <range>"},
    {3, "BITPOS <k> <one> <range>"},
    {4, "BITOP <operation> <keys>"},
    {5, "BITFIELD <k> <fields>"},
    {2, "BITFIELD_RO <k> <fields>"},
    {5, "DEL <keys>"},
    {2, "UNLINK <keys>"},
    {3, "EXISTS <keys>"},
    {2, "TOUCH <keys>"},
    {4, "RENAME <k> <k>"},
    {4, "RENAMENX <k> <k>"},
    {5, "COPY <k> <k> <copy>"},
    {1, "MOVE <k> <db>"},
    {5, "EXPIRE <k> <sec> <expire>"},
    {4, "PEXPIRE <k> <ms> <expire>"},
    {3, "EXPIREAT <k> <at> <expire>"},
    {3, "PEXPIREAT <k> <atms> <expire>"},
    {3, "TTL <k>"},
    {3, "PTTL <k>"},
    {2, "EXPIRETIME <k>"},
    {2, "PEXPIRETIME <k>"},
    {3, "PERSIST <k>"},
    {3, "TYPE <k>"},
    {2, "KEYS <glob>"},
    {3, "SCAN <cursor> <scan>"},
    {1, "RANDOMKEY"},
    {1, "DBSIZE"},
    {2, "FLUSHALL <flush>"},
    {1, "FLUSHDB <flush>"},
    {1, "OBJECT ENCODING <k>"},
    {1, "OBJECT REFCOUNT <k>"},
    {1, "OBJECT IDLETIME <k>"},
    {1, "OBJECT FREQ <k>"},
    {1, "OBJECT HELP"},
    {1, "MEMORY USAGE <k> <memory>"},
    {10, "MULTI"},
    {8, "EXEC"},
    {2, "DISCARD"},
    {7, "WATCH <keys>"},
    {2, "UNWATCH"},
    {1, "PING"},
    {1, "PING <v>"},
    {1, "ECHO <v>"},
    {1, "SELECT <db>"},
    {1, "TIME"},
    {1, "RESET"},
    {1, "CLIENT GETNAME"},
    {1, "CLIENT SETNAME <name>"},
    {1, "CLIENT ID"},
    {1, "CLIENT INFO"},
    {1, "CLIENT LIST"},
    {1, "CLIENT NO-EVICT <switch>"},
    {1, "CLIENT KILL ID <nobody>"},
    {1, "CLIENT UNPAUSE"},
    {1, "COMMAND COUNT"},
    {1, "COMMAND INFO GET"},
    {2, "COMMAND GETKEYS <command>"},
    {1, "COMMAND LIST FILTERBY PATTERN <glob>"},
    {1, "COMMAND DOCS GET"},
    {1, "CONFIG GET save"},
    {1, "CONFIG SET slowlog-max-len <int>"},
    {1, "CONFIG SET slowlog-max-len <int> latency-monitor-threshold <int>"},
    {1, "CONFIG RESETSTAT"},
    {1, "INFO <section>"},
    {1, "SLOWLOG GET <int>"},
    {1, "SLOWLOG LEN"},
    {1, "LATENCY LATEST"},
    {1, "LATENCY RESET"},
    {1, "HELLO 2"},
    {1, "HELLO 3"},
    {1, "HELLO <int>"},
    {1, "HELLO 3 <hello>"},
    {1, "AUTH <v>"},
    {1, "AUTH default <v>"},
    {1, "NOSUCHCOMMAND <v>"},
    {1, "OBJECT NOSUCH <k>"},
    {1, "CLIENT NOSUCH <k>"},
    {1, "EXEC <v>"},
    {1, "MULTI <v>"},
};

constexpr char kIntegers[] =
    "0|1|-1|2|3|5|-3|10|100|-100|1000|4294967296|2147483648|9223372036854775807|"
    "-9223372036854775808|9223372036854775806";
constexpr char kNoIntegers[] =
    "9223372036854775808|-9223372036854775809|18446744073709551616|"
    "99999999999999999999999|+1|01|-0| 1|1 |1.0|1e3|0x10|abc||-|--1|1\n|nan|inf";
constexpr char kFloats[] =
    "0|1|-1|0.1|-0.1|1.5|3.14159265358979|1e3|5.0e3|-2.5e-3|1e-20|0.00000000000000001|"
    "1e17|123456789.123456789|99999999999999999999|.5|5.|1e300|1e308|-0|0x1p3|0x10|"
    "1e4000|1e-5000|9007199254740993";
constexpr char kNoFloats[] =
    "inf|-inf|+inf|nan|abc|| 1|1 |1,5|--1|1e|infinity|1e99999|0x|1 2|INF|NaN|nan(1)|\t1";
constexpr char kGlobs[] =
    "*|?|a|key:*|key:?|[ab]|[^a]|[a-c]|[c-a]|\\a|*:*|a**||[|[]|a*b*c|[a|\\|k*1|?*?|[\\]]|"
    "[^|[a-|*\\";
// Of the beginning, or of nothing: other numbers are a server's own.
constexpr char kCursors[] =
    "|-0|00|+0| 0|x|0x0|0 |1.0|18446744073709551616|99999999999999999999999";
constexpr char kBitOperations[] = "AND|OR|XOR|NOT|and|NAND";
constexpr char kTypes[] = "u1|u2|i2|u5|i8|u8|i16|u16|u31|i32|u63|i63|i64";
constexpr char kNoTypes[] = "u64|i65|u0|i0|U8|x|u|i|i-1|u 8||8";
constexpr char kOverflows[] = "WRAP|SAT|FAIL|sat|none";
constexpr char kWords[] =
    "NX|XX|GT|LT|GET|EX|PX|EXAT|PXAT|KEEPTTL|PERSIST|REPLACE|DB|LEN|IDX|MATCH|COUNT|TYPE|"
    "ASYNC|x||0|*";

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {
    for (const Form& form : kForms) weights_.push_back(form.weight);
  }

  size_t Below(size_t n) { return random_() % n; }
  bool OneIn(size_t n) { return Below(n) == 0; }

  // `in_transaction`: commands that end it are likelier.
  Words Command(bool in_transaction) {
    std::discrete_distribution<size_t> choose(weights_.begin(), weights_.end());
    const Form& form = kForms[choose(random_)];
    Words words;
    for (const absl::string_view word : absl::StrSplit(form.text, ' ')) Add(word, &words);
    if (in_transaction && OneIn(8)) words = {"EXEC"};
    if (OneIn(12)) Spoil(&words);
    if (ExpiresSoon(words)) return Command(in_transaction);
    if (OneIn(6)) ChangeCase(&words);
    return words;
  }

  std::string Bytes() { return RandomBytes(&random_); }

 private:
  // One of "a|b|c".
  std::string Of(absl::string_view words) {
    const std::vector<absl::string_view> all = absl::StrSplit(words, '|');
    return std::string(all[Below(all.size())]);
  }

  void Add(absl::string_view word, Words* words) {
    const auto add = [words](const auto&... more) { (words->emplace_back(more), ...); };
    if (word == "<k>") {
      add(Key(Below(kKeys)));
    } else if (word == "<v>") {
      add(Value());
    } else if (word == "<keys>") {
      for (size_t n = OneIn(30) ? 300 : 1 + Below(4); n > 0; --n) add(Key(Below(kKeys)));
    } else if (word == "<pairs>") {
      for (size_t n = 1 + Below(4); n > 0; --n) add(Key(Below(kKeys)), Value());
    } else if (word == "<int>") {
      add(Integer());
    } else if (word == "<float>") {
      add(OneIn(5) ? Of(kNoFloats) : OneIn(4) ? Integer() : Of(kFloats));
    } else if (word == "<offset>") {
      add(OneIn(4) ? Integer() : absl::StrCat(Below(40)));
    } else if (word == "<script>") {
      AddScript(words);
    } else if (word == "<bit>") {
      add(OneIn(4) ? Integer() : absl::StrCat(Below(300)));
    } else if (word == "<one>") {
      add(OneIn(8) ? Integer() : absl::StrCat(Below(2)));
    } else if (word == "<range>") {
      if (OneIn(4)) return;
      add(RangeEnd());
      if (!OneIn(4)) add(RangeEnd());
      if (OneIn(2)) add(OneIn(8) ? "BITS" : OneIn(2) ? "BIT" : "BYTE");
    } else if (word == "<operation>") {
      add(Of(kBitOperations));
    } else if (word == "<fields>") {
      for (size_t n = Below(4); n > 0; --n) Field(words);
    } else if (word == "<sec>") {
      add(Seconds());
    } else if (word == "<ms>") {
      add(Milliseconds());
    } else if (word == "<at>") {
      add(OneIn(3) ? Past() : absl::StrCat(Now() + 5000 + static_cast<int64_t>(Below(3)) * 1000));
    } else if (word == "<atms>") {
      add(OneIn(3) ? Past() : absl::StrCat((Now() + 5000) * 1000 + static_cast<int64_t>(Below(9))));
    } else if (word == "<glob>") {
      add(Of(kGlobs));
    } else if (word == "<cursor>") {
      add(OneIn(6) ? Of(kCursors) : "0");
    } else if (word == "<db>") {
      add(OneIn(3) ? Integer() : "0");
    } else if (word == "<name>") {
      add(OneIn(3) ? Value().substr(0, 100) : OneIn(3) ? "" : "me");
    } else if (word == "<nobody>") {
      add(OneIn(2) ? "999999999" : OneIn(2) ? "0" : "x");
    } else if (word == "<switch>") {
      add(OneIn(3) ? "maybe" : OneIn(2) ? "on" : "OFF");
    } else if (word == "<command>") {
      for (std::string& part : Command(false)) words->push_back(std::move(part));
    } else if (word == "<section>") {
      add(OneIn(2) ? "server" : OneIn(2) ? "keyspace" : "nosuch");
    } else if (word == "<flush>") {
      if (OneIn(2)) add(OneIn(4) ? "now" : OneIn(2) ? "async" : "SYNC");
    } else if (absl::StartsWith(word, "<")) {
      for (size_t n = Below(4); n > 0; --n) Option(word, words);
    } else {
      add(word);
    }
  }

  std::string RangeEnd() {
    return OneIn(4) ? Integer() : absl::StrCat(static_cast<int64_t>(Below(200)) - 100);
  }

  // A command whose reply has nothing of the time nor of the server itself.
  Words ExactCommand() {
    while (true) {
      Words command = Command(false);
      if (RuleOf(command, false) == Rule::kExact) return command;
    }
  }

  // A script that calls some commands, and has their replies, or errors, as its own.
  void AddScript(Words* words) {
    std::string text = "local r = {} ";
    for (size_t n = 1 + Below(3); n > 0; --n) {
      std::string quoted;
      for (const std::string& word : ExactCommand()) {
        absl::StrAppend(&quoted, quoted.empty() ? "" : ",", QuotedForLua(word));
      }
      absl::StrAppend(&text, "r[#r+1] = redis.", OneIn(4) ? "call" : "pcall", "(", quoted, ") ");
    }
    if (OneIn(4)) absl::StrAppend(&text, "redis.call('SET', KEYS[1], ARGV[1]) ");
    words->insert(words->end(), {absl::StrCat(text, "return r"), "1", Key(Below(kKeys)), Value()});
  }

  static std::string QuotedForLua(absl::string_view word) {
    std::string quoted = "'";
    for (const char c : word) {
      if (absl::ascii_isalnum(static_cast<unsigned char>(c))) {
        quoted.push_back(c);
      } else {
        absl::StrAppend(&quoted, "\\", absl::Dec(static_cast<unsigned char>(c), absl::kZeroPad3));
      }
    }
    return quoted + "'";
  }

  // One of BITFIELD's.
  void Field(Words* words) {
    const auto add = [words](const auto&... more) { (words->emplace_back(more), ...); };
    const std::string type = OneIn(10) ? Of(kNoTypes) : Of(kTypes);
    // A large one in fields overflows there, and is then a small one.
    const bool in_fields = OneIn(3);
    const std::string offset =
        in_fields || !OneIn(12) ? absl::StrCat(in_fields ? "#" : "", Below(100)) : Integer();
    switch (Below(4)) {
      case 0:
        return add("GET", type, offset);
      case 1:
        // The least that there is overflows there once more, and is then taken for a large one.
        return add("SET", type, offset, OneIn(2) ? absl::StrCat(Below(1000)) : Of("-1|-100|70000"));
      case 2:
        return add("INCRBY", type, offset, Integer());
      default:
        return add("OVERFLOW", Of(kOverflows));
    }
  }

  // One of the options of a command.
  void Option(absl::string_view of, Words* words) {
    const auto add = [words](const auto&... more) { (words->emplace_back(more), ...); };
    if (OneIn(40)) return add(Of(kWords));
    if (of == "<set>" || of == "<getex>") {
      switch (Below(9)) {
        case 0:
          return add("EX", Seconds());
        case 1:
          return add("PX", Milliseconds());
        case 2:
          return Timed("EXAT", "<at>", words);
        case 3:
          return Timed("PXAT", "<atms>", words);
        case 4:
          return add(of == "<set>" ? "KEEPTTL" : "PERSIST");
        case 5:
          return add(of == "<set>" ? "GET" : "PERSIST");
        case 6:
        case 7:
          return of == "<set>" ? add(OneIn(2) ? "NX" : "XX") : add("PERSIST");
        default:
          return;
      }
    }
    if (of == "<expire>") {
      constexpr char kConditions[] = "NX|XX|GT|LT";
      if (OneIn(2)) add(Of(kConditions));
    } else if (of == "<lcs>") {
      constexpr char kOptions[] = "LEN|IDX|IDX|WITHMATCHLEN";
      OneIn(4) ? add("MINMATCHLEN", Integer()) : add(Of(kOptions));
    } else if (of == "<copy>") {
      OneIn(4) ? add("DB", OneIn(4) ? Integer() : "0") : add("REPLACE");
    } else if (of == "<scan>") {
      switch (Below(3)) {
        case 0:
          return add("MATCH", Of(kGlobs));
        case 1:
          return add("COUNT", OneIn(3) ? Integer() : absl::StrCat(1 + Below(20)));
        default:
          return add("TYPE", OneIn(2) ? "string" : OneIn(2) ? "hash" : "STRING");
      }
    } else if (of == "<hello>") {
      OneIn(2) ? add("AUTH", OneIn(3) ? "nobody" : "default", "x") : add("SETNAME", "me");
    } else if (of == "<memory>") {
      if (OneIn(2)) add("SAMPLES", Integer());
    }
  }
  void Timed(const char* name, absl::string_view form, Words* words) {
    words->emplace_back(name);
    Add(form, words);
  }

  static int64_t Now() { return absl::ToUnixSeconds(absl::Now()); }
  // Nothing that could happen while the test runs: between the first and the last
  // command of a sequence is far less than a second.
  std::string Seconds() {
    if (OneIn(4)) return Odd();
    return absl::StrCat(1000 + Below(100000));
  }
  std::string Milliseconds() {
    if (OneIn(4)) return Odd();
    return absl::StrCat(1000000 + Below(100000000));
  }
  std::string Past() {
    if (OneIn(3)) return Odd();
    return absl::StrCat(1 + Below(1000000));
  }
  std::string Odd() {
    constexpr char kOdd[] =
        "0|-1|-1000|9223372036854775807|9223372036854775|9223372036854776|"
        "9223372036854775000|-9223372036854775808|9223370000000000|-9223372036854775";
    return OneIn(3) ? Of(kNoIntegers) : Of(kOdd);
  }

  std::string Integer() { return OneIn(5) ? Of(kNoIntegers) : Of(kIntegers); }

  std::string Value() {
    switch (Below(12)) {
      case 0:
        return "";
      case 1:
      case 2:
      case 3:
        return Integer();
      case 4:
      case 5:
        return OneIn(4) ? Of(kNoFloats) : Of(kFloats);
      case 6: {
        std::string bytes;
        for (size_t n = Below(30); n > 0; --n) bytes.push_back(static_cast<char>(Below(256)));
        return bytes;
      }
      case 7:
        return std::string(Below(100), 'x');
      case 8:
        if (OneIn(100)) return std::string(60000 + Below(90000), 'z');
        return OneIn(10) ? std::string(5000 + Below(3000), 'y') : "short";
      default: {
        std::string letters;
        for (size_t n = Below(12); n > 0; --n) letters.push_back("abc"[Below(3)]);
        return letters;
      }
    }
  }

  // While the test runs, so that servers may differ. `words` have upper-case names.
  static bool ExpiresSoon(const Words& words) {
    const std::string& name = words[0];
    for (size_t i = 1; i + 1 < words.size(); ++i) {
      const bool first =
          i == 1 && (absl::StrContains(name, "SETEX") || name == "EXPIRE" || name == "PEXPIRE");
      const bool milliseconds = words[i] == "PX" || (first && name[0] == 'P');
      int64_t time = 0;
      if (!first && words[i] != "PX" && words[i] != "EX") continue;
      if (!absl::SimpleAtoi(words[i + 1], &time)) continue;
      if (time > 0 && time < (milliseconds ? 500000 : 500)) return true;
    }
    return false;
  }

  // Takes a word away, adds one, doubles one, or puts another in its place.
  void Spoil(Words* words) {
    const size_t at = Below(words->size() + 1);
    const auto place = words->begin() + static_cast<std::ptrdiff_t>(at);
    if (at == 0 || at == words->size() || OneIn(3)) {
      if (!OneIn(3) && words->size() > 1) return words->pop_back();
      return words->push_back(OneIn(2) ? Of(kWords) : Value().substr(0, 100));
    }
    switch (Below(3)) {
      case 0:
        words->erase(place);
        return;
      case 1:
        words->insert(place, std::string(*place));
        return;
      default:
        *place = OneIn(2) ? Of(kWords) : Value().substr(0, 100);
    }
  }

  void ChangeCase(Words* words) {
    for (std::string& word : *words) {
      // Keys and values stay as they are: they have no letters of this kind alone.
      if (word.size() < 2 || !absl::ascii_isupper(static_cast<unsigned char>(word[0]))) continue;
      for (char& c : word) {
        const auto letter = static_cast<unsigned char>(c);
        if (OneIn(2)) c = absl::ascii_isupper(letter) ? absl::ascii_tolower(letter) : c;
      }
    }
  }

  std::mt19937_64 random_;
  std::vector<int> weights_;
};

void AddEnd(Sequence* sequence) {
  Words all = {"MGET"};
  for (size_t i = 0; i < kKeys; ++i) all.push_back(Key(i));
  const auto add = [&](Words words, bool scans) {
    Step step;
    step.args = std::move(words);
    step.settled = true;
    if (scans) step.form = Step::Form::kScanAll;
    sequence->steps.push_back(std::move(step));
  };
  add({"RESET"}, false);
  add(all, false);
  for (size_t i = 0; i < kKeys; ++i) add({"PTTL", Key(i)}, false);
  add({"KEYS", "*"}, false);
  add({"SCAN", "0", "COUNT", "3"}, true);
  add({"DBSIZE"}, false);
}

}  // namespace

Sequence Generate(uint64_t seed, size_t steps) {
  Generator generator(seed);
  Sequence sequence;
  const size_t connections = 1 + generator.Below(3);
  std::vector<bool> in_transaction(connections);
  for (size_t i = 0; i < connections; ++i) sequence.protocols.push_back(generator.OneIn(2) ? 2 : 3);
  size_t connection = 0;
  for (size_t i = 0; i < steps; ++i) {
    Step step;
    if (generator.OneIn(3)) connection = generator.Below(connections);
    step.connection = static_cast<int>(connection);
    if (generator.OneIn(30)) {
      step.form = Step::Form::kRaw;
      step.args = {generator.Bytes()};
      sequence.steps.push_back(std::move(step));
      continue;
    }
    step.args = generator.Command(in_transaction[connection]);
    const std::string name = absl::AsciiStrToUpper(step.args[0]);
    if (name == "MULTI") in_transaction[connection] = true;
    if (name == "EXEC" || name == "DISCARD" || name == "RESET") in_transaction[connection] = false;
    if (name == "SCAN" && !in_transaction[connection] && step.args.size() > 1 &&
        step.args[1] == "0" && generator.OneIn(2)) {
      step.form = Step::Form::kScanAll;
    } else if (generator.OneIn(8)) {
      step.form = Step::Form::kLine;
    }
    step.with_next = generator.OneIn(3);
    sequence.steps.push_back(std::move(step));
  }
  AddEnd(&sequence);
  return sequence;
}

std::string ToText(const Step& step) {
  static constexpr const char* kForms[] = {"", " (as a line)", " (to the end)", " (as it is)",
                                           " (until it is gone)"};
  std::string text = absl::StrCat(step.connection, ":");
  for (const std::string& arg : step.args) absl::StrAppend(&text, " \"", Escaped(arg), "\"");
  return absl::StrCat(text, kForms[static_cast<size_t>(step.form)],
                      step.with_next ? " (with the next)" : "");
}

std::string ToText(const Sequence& sequence) {
  std::string text;
  for (size_t i = 0; i < sequence.protocols.size(); ++i) {
    absl::StrAppend(&text, i, ": RESP", sequence.protocols[i], "\n");
  }
  for (const Step& step : sequence.steps) absl::StrAppend(&text, ToText(step), "\n");
  return text;
}

}  // namespace resp_differential
}  // namespace kvarts
