#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "net/resp/handlers.h"

namespace kvarts {
namespace resp {
namespace {

// A part of both strings that is the same: [begin, end) of each.
struct Match {
  size_t a_begin = 0;
  size_t a_end = 0;
  size_t b_begin = 0;
  size_t b_end = 0;
};

// The lengths of the longest common subsequences of all beginnings of two strings.
class LengthTable {
 public:
  LengthTable(absl::string_view a, absl::string_view b)
      : row_(b.size() + 1), lengths_((a.size() + 1) * row_) {
    for (size_t i = 1; i <= a.size(); ++i) {
      const uint32_t* const above = &lengths_[(i - 1) * row_];
      uint32_t* const here = &lengths_[i * row_];
      for (size_t j = 1; j <= b.size(); ++j) {
        here[j] = a[i - 1] == b[j - 1] ? above[j - 1] + 1 : std::max(above[j], here[j - 1]);
      }
    }
  }
  // Of the first `i` bytes of one and the first `j` of the other.
  uint32_t At(size_t i, size_t j) const { return lengths_[i * row_ + j]; }

  // Refuses to be too large.
  static bool Fits(absl::string_view a, absl::string_view b, size_t most) {
    return (a.size() + 1) * (b.size() + 1) * sizeof(uint32_t) <= most;
  }

 private:
  const size_t row_;
  std::vector<uint32_t> lengths_;
};

// Runs of equal bytes, from the ends of the strings to their beginnings. Where there
// are several longest subsequences, the one that redis-server finds.
std::vector<Match> FindMatches(const LengthTable& table, absl::string_view a, absl::string_view b) {
  std::vector<Match> matches;
  bool in_run = false;
  size_t i = a.size();
  size_t j = b.size();
  while (i > 0 && j > 0) {
    if (a[i - 1] == b[j - 1]) {
      if (!in_run) matches.push_back({i, i, j, j});
      in_run = true;
      matches.back().a_begin = --i;
      matches.back().b_begin = --j;
    } else {
      in_run = false;
      table.At(i - 1, j) > table.At(i, j - 1) ? --i : --j;
    }
  }
  return matches;
}

struct Options {
  bool length = false;
  bool matches = false;
  bool match_lengths = false;
  int64_t least = 0;  // of a match that is shown
};

// True, or else the reply is written.
bool ParseOptions(CommandCall* call, Options* options) {
  const auto args = call->args;
  for (size_t i = 3; i < args.size(); ++i) {
    if (absl::EqualsIgnoreCase(args[i], "LEN")) {
      options->length = true;
    } else if (absl::EqualsIgnoreCase(args[i], "IDX")) {
      options->matches = true;
    } else if (absl::EqualsIgnoreCase(args[i], "WITHMATCHLEN")) {
      options->match_lengths = true;
    } else if (absl::EqualsIgnoreCase(args[i], "MINMATCHLEN") && i + 1 < args.size()) {
      if (!ParseInteger(args[++i], &options->least)) {
        call->reply->Error(kNotAnInteger);
        return false;
      }
    } else {
      call->reply->Error(kSyntaxError);
      return false;
    }
  }
  if (options->matches && options->length) {
    call->reply->Error("ERR If you want both the length and indexes, please just use IDX.");
    return false;
  }
  return true;
}

void AnswerRange(size_t begin, size_t end, ReplyWriter* reply) {
  reply->Array(2);
  reply->Integer(static_cast<int64_t>(begin));
  reply->Integer(static_cast<int64_t>(end - 1));
}

}  // namespace

// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]
void Lcs(CommandCall* call) {
  ReplyWriter* const reply = call->reply;
  Options options;
  if (!ParseOptions(call, &options)) return;
  ReadResults results;
  call->store()->MultiGet(call->args.subspan(1, 2), ReadOptions(), &results);
  for (const ReadResult& result : results) {
    if (!result.status.ok()) return reply->Error(ErrorText(result.status));
  }
  const absl::string_view a = results[0].value;
  const absl::string_view b = results[1].value;
  if (!LengthTable::Fits(a, b, call->state->options.max_value_bytes)) {
    return reply->Error(
        "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
  }
  const LengthTable table(a, b);
  const int64_t length = table.At(a.size(), b.size());
  call->work += a.size() * b.size() / 128;
  if (!results.intact()) reply->output()->MarkLost();
  if (options.length) return reply->Integer(length);
  std::vector<Match> matches = FindMatches(table, a, b);
  if (!options.matches) {
    std::string text;
    for (auto match = matches.rbegin(); match != matches.rend(); ++match) {
      text.append(a.data() + match->a_begin, match->a_end - match->a_begin);
    }
    return reply->Bulk(text);
  }
  matches.erase(std::remove_if(matches.begin(), matches.end(),
                               [&](const Match& match) {
                                 return static_cast<int64_t>(match.a_end - match.a_begin) <
                                        options.least;
                               }),
                matches.end());
  reply->Map(2);
  reply->Bulk("matches");
  reply->Array(matches.size());
  for (const Match& match : matches) {
    reply->Array(options.match_lengths ? 3 : 2);
    AnswerRange(match.a_begin, match.a_end, reply);
    AnswerRange(match.b_begin, match.b_end, reply);
    if (options.match_lengths) reply->Integer(static_cast<int64_t>(match.a_end - match.a_begin));
  }
  reply->Bulk("len");
  reply->Integer(length);
}

}  // namespace resp
}  // namespace kvarts
