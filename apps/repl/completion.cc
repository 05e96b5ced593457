#include "apps/repl/completion.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "apps/repl/command.h"
#include "apps/repl/interrupts.h"
#include "apps/repl/quoting.h"

namespace kvarts {
namespace {

constexpr size_t kMaxKeys = 100;
// Up to so many a store without an order is read through while a person waits.
constexpr uint64_t kFewEntries = 10000;
constexpr absl::Duration kPatience = absl::Seconds(2);

// Sorted: the first ones, at most one more than kMaxKeys.
std::vector<std::string> KeysWith(absl::string_view prefix, Store* store) {
  const Capabilities has = store->capabilities();
  const bool is_ordered =
      has.ordered_scan == Support::kNative || has.ordered_scan == Support::kEmulatedLog;
  const Interrupts::Waiting waiting;
  if (!is_ordered) {
    if (!has.has(has.scan)) return {};
    const absl::StatusOr<StoreStats> stats = store->Stats();
    if (!stats.ok() || stats->entries > kFewEntries) return {};
  }
  ScanOptions options;
  if (!prefix.empty()) options.range = KeyRange::Prefix(prefix);
  options.keys_only = true;
  options.timeout = kPatience;
  absl::StatusOr<std::unique_ptr<Cursor>> cursor = store->NewCursor(options);
  if (!cursor.ok()) return {};
  PageLimits limits;
  limits.entries = is_ordered ? kMaxKeys + 1 : kFewEntries;
  std::vector<std::string> keys;
  ScanPage page;
  do {
    if (Interrupts::cancelled() || !(*cursor)->Next(limits, &page).ok()) break;
    for (const ScanEntry& entry : page) keys.emplace_back(entry.key);
  } while (!page.empty() && (!is_ordered || keys.size() <= kMaxKeys));
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  keys.resize(std::min(keys.size(), kMaxKeys + 1));
  return keys;
}

// Where the character that holds `position` begins; bytes that are no UTF-8 stay as they are.
size_t CharacterBegin(absl::string_view bytes, size_t position) {
  while (position > 0 && position < bytes.size() && (bytes[position] & 0xC0) == 0x80) --position;
  return position;
}

std::string CommonPrefix(const std::vector<std::string>& words) {
  // They are sorted: the first and the last have least in common.
  const std::string& first = words.front();
  const std::string& last = words.back();
  const size_t most = std::min(first.size(), last.size());
  const auto end =
      std::mismatch(first.begin(), first.begin() + static_cast<ptrdiff_t>(most), last.begin());
  return first.substr(0, CharacterBegin(first, static_cast<size_t>(end.first - first.begin())));
}

// Those that begin with `typed`; keys are quoted.
Completion Choose(std::vector<std::string> words, const Word& typed, bool are_keys) {
  words.erase(std::remove_if(words.begin(), words.end(),
                             [&typed](const std::string& word) {
                               return !absl::StartsWith(word, typed.bytes);
                             }),
              words.end());
  std::sort(words.begin(), words.end());
  Completion completion;
  completion.begin = typed.begin;
  if (words.empty()) return completion;
  if (words.size() == 1) {
    // A space goes on to the next word, unless the value of an option is still to come.
    const bool is_open = !are_keys && absl::EndsWith(words[0], "=");
    completion.text = absl::StrCat(are_keys ? QuoteWord(words[0]) : words[0], is_open ? "" : " ");
    return completion;
  }
  const std::string common = CommonPrefix(words);
  completion.text = are_keys ? QuoteOpen(common) : common;
  for (const std::string& word : words) {
    completion.choices.push_back(are_keys ? QuoteWord(word) : word);
  }
  return completion;
}

std::vector<std::string> CommandNames() {
  std::vector<std::string> names = {"quit"};
  for (const CommandInfo& info : AllCommands()) names.emplace_back(info.name);
  return names;
}

std::vector<std::string> OptionsOf(const CommandInfo& info) {
  std::vector<std::string> options;
  for (const absl::string_view option : info.options) {
    options.push_back(absl::StrCat("--", option));
  }
  return options;
}

// What may stand in place of `typed`, which is argument number `place` of the command.
Completion CompleteArgument(const CommandInfo& info, size_t place, const Word& typed,
                            Store* store) {
  if (!typed.quoted && absl::StartsWith(typed.bytes, "--")) {
    return Choose(OptionsOf(info), typed, false);
  }
  if (info.verb == Verb::kHelp && place == 0) return Choose(CommandNames(), typed, false);
  const bool is_data = info.verb == Verb::kStore && place > 0;
  if (!info.takes_keys || is_data || place >= info.max_args) return Choose({}, typed, false);
  std::vector<std::string> keys = KeysWith(typed.bytes, store);
  const bool are_all = keys.size() <= kMaxKeys;
  keys.resize(std::min(keys.size(), kMaxKeys));
  Completion completion = Choose(std::move(keys), typed, true);
  // What these have in common, others may not.
  if (!are_all) completion.text.clear();
  return completion;
}

}  // namespace

Completion Complete(absl::string_view line, Store* store) {
  std::vector<Word> words;
  WordReader reader(line, true);
  Completion nothing;
  nothing.begin = line.size();
  while (!reader.AtEnd()) {
    absl::StatusOr<Word> word = reader.Next();
    if (!word.ok()) return nothing;
    words.push_back(*std::move(word));
  }
  // A blank behind the last word ends it, unless a quote holds the blank.
  if (words.empty() || words.back().end < line.size()) {
    words.emplace_back();
    words.back().begin = line.size();
  }
  Completion completion;
  if (words.size() == 1) {
    completion = Choose(CommandNames(), words[0], false);
  } else {
    const CommandInfo* const info = FindCommand(words[0].bytes);
    if (info == nullptr) return nothing;
    const auto is_option = [](const Word& word) {
      return !word.quoted && absl::StartsWith(word.bytes, "--");
    };
    const auto options = std::count_if(words.begin() + 1, words.end() - 1, is_option);
    completion = CompleteArgument(*info, words.size() - 2 - static_cast<size_t>(options),
                                  words.back(), store);
  }
  if (completion.text.empty()) {
    completion.text = std::string(line.substr(completion.begin));
  }
  return completion;
}

}  // namespace kvarts
