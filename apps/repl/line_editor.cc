#include "apps/repl/line_editor.h"

#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cwchar>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "apps/repl/history.h"
#include "apps/repl/interrupts.h"

namespace kvarts {
namespace {

// Set by handlers while a line is read.
std::atomic<bool> resized{false};
std::atomic<bool> asked_to_stop{false};

// Runs on any thread.
void OnResize(int) {
  resized = true;
  Interrupts::Wake();
}
void OnStop(int) {
  asked_to_stop = true;
  Interrupts::Wake();
}

// Their actions for as long as this lives.
class TerminalSignals {
 public:
  TerminalSignals() {
    struct sigaction action = {};
    action.sa_handler = OnResize;
    ::sigaction(SIGWINCH, &action, &old_resize_);
    action.sa_handler = OnStop;
    ::sigaction(SIGTSTP, &action, &old_stop_);
  }
  ~TerminalSignals() {
    ::sigaction(SIGWINCH, &old_resize_, nullptr);
    ::sigaction(SIGTSTP, &old_stop_, nullptr);
  }
  TerminalSignals(const TerminalSignals&) = delete;
  TerminalSignals& operator=(const TerminalSignals&) = delete;

 private:
  struct sigaction old_resize_ = {};
  struct sigaction old_stop_ = {};
};

// libedit reads characters by the locale. Keys and values are UTF-8 where they are text,
// whatever the user's locale is.
void UseUtf8() {
  const char* const locale = ::setlocale(LC_CTYPE, "");
  if (locale == nullptr || MB_CUR_MAX < 4) ::setlocale(LC_CTYPE, "C.UTF-8");
}

size_t Characters(absl::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

int TerminalColumns() {
  winsize size = {};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// The words in columns, as ls shows names.
std::string InColumns(const std::vector<std::string>& words) {
  size_t widest = 0;
  for (const std::string& word : words) widest = std::max(widest, Characters(word));
  const size_t columns = std::max<size_t>(1, static_cast<size_t>(TerminalColumns()) / (widest + 2));
  const size_t rows = (words.size() + columns - 1) / columns;
  std::string text;
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = row; i < words.size(); i += rows) {
      const size_t padding = i + rows < words.size() ? widest + 2 - Characters(words[i]) : 0;
      absl::StrAppend(&text, words[i], std::string(padding, ' '));
    }
    text += '\n';
  }
  return text;
}

}  // namespace

class LineEditor::Editor {
 public:
  Editor(std::string prompt, Completer completer)
      : prompt_(std::move(prompt)), completer_(std::move(completer)) {
    UseUtf8();
    history_ = ::history_init();
    HistEvent event;
    ::history(history_, &event, H_SETSIZE, static_cast<int>(HistoryFile::kMaxLines));
    ::history(history_, &event, H_SETUNIQUE, 1);
    edit_ = ::el_init("kv_repl", stdin, stdout, stderr);
    ::el_set(edit_, EL_CLIENTDATA, this);
    ::el_set(edit_, EL_PROMPT, &Prompt);
    ::el_set(edit_, EL_EDITOR, "emacs");
    ::el_set(edit_, EL_HIST, ::history, history_);
    ::el_set(edit_, EL_GETCFN, &GetCharacter);
    ::el_set(edit_, EL_ADDFN, "kv-complete", "Completes commands and keys.", &Complete);
    ::el_set(edit_, EL_BIND, "^I", "kv-complete", nullptr);
    ::el_set(edit_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    ::el_source(edit_, nullptr);
  }
  ~Editor() {
    ::el_end(edit_);
    ::history_end(history_);
  }

  void Remember(const std::string& line) {
    HistEvent event;
    ::history(history_, &event, H_ENTER, line.c_str());
  }

  Result ReadLine(std::string* line) {
    const TerminalSignals signals;
    is_interrupted_ = false;
    int size = 0;
    // libedit does it behind the prompt, and what is typed in between is then echoed twice.
    ::el_set(edit_, EL_PREP_TERM, 1);
    const char* const text = ::el_gets(edit_, &size);
    if (is_interrupted_) return Result::kInterrupted;
    if (text == nullptr || size <= 0) return Result::kEnd;
    *line = std::string(text, static_cast<size_t>(size));
    if (!line->empty() && line->back() == '\n') line->pop_back();
    return Result::kLine;
  }

 private:
  static Editor* Of(EditLine* edit) {
    void* data = nullptr;
    ::el_get(edit, EL_CLIENTDATA, &data);
    return static_cast<Editor*>(data);
  }

  static char* Prompt(EditLine* edit) { return Of(edit)->prompt_.data(); }

  // 1, 0 at the end, or -1.
  static int GetCharacter(EditLine* edit, wchar_t* out) { return Of(edit)->Read(out); }

  int Read(wchar_t* out) {
    std::mbstate_t state = {};
    while (true) {
      if (!AwaitInput()) return -1;
      char byte;
      const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n <= 0) return static_cast<int>(n);
      const size_t used = std::mbrtowc(out, &byte, 1, &state);
      if (used <= 1) return 1;
      // No UTF-8: it cannot be shown, and is typed as an escape.
      if (used == static_cast<size_t>(-1)) state = {};
    }
  }

  // False: a signal came that ends the line.
  bool AwaitInput() {
    pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {Interrupts::wake_fd(), POLLIN, 0}};
    while (true) {
      if (Interrupts::cancelled()) {
        is_interrupted_ = true;
        return false;
      }
      if (resized.exchange(false)) ::el_resize(edit_);
      if (asked_to_stop.exchange(false)) Stop();
      if (::poll(fds, 2, -1) <= 0) continue;
      if (fds[1].revents != 0) {
        Interrupts::Drain();
      } else if (fds[0].revents != 0) {
        return true;
      }
    }
  }

  // Stops as Ctrl-Z does elsewhere, with the terminal as it was meanwhile.
  void Stop() {
    ::el_set(edit_, EL_PREP_TERM, 0);
    ::raise(SIGSTOP);
    ::el_set(edit_, EL_PREP_TERM, 1);
    ::el_set(edit_, EL_REFRESH);
  }

  static unsigned char Complete(EditLine* edit, int) { return Of(edit)->CompleteWord(); }

  unsigned char CompleteWord() {
    const LineInfo* const info = ::el_line(edit_);
    const std::string line(info->buffer, static_cast<size_t>(info->cursor - info->buffer));
    const Completion completion = completer_(line);
    const std::string typed = line.substr(completion.begin);
    const bool changes = completion.text != typed;
    if (changes) {
      ::el_deletestr(edit_, static_cast<int>(Characters(typed)));
      if (!completion.text.empty()) ::el_insertstr(edit_, completion.text.c_str());
    }
    if (!changes && completion.choices.empty()) return CC_REFRESH_BEEP;
    if (changes || completion.choices.empty()) return CC_REFRESH;
    std::fputs(absl::StrCat("\n", InColumns(completion.choices)).c_str(), stdout);
    return CC_REDISPLAY;
  }

  std::string prompt_;
  const Completer completer_;
  ::History* history_ = nullptr;
  EditLine* edit_ = nullptr;
  bool is_interrupted_ = false;
};

LineEditor::LineEditor(std::string prompt, Completer completer)
    : editor_(std::make_unique<Editor>(std::move(prompt), std::move(completer))) {}

LineEditor::~LineEditor() = default;

void LineEditor::Remember(const std::string& line) { editor_->Remember(line); }

LineEditor::Result LineEditor::ReadLine(std::string* line) { return editor_->ReadLine(line); }

}  // namespace kvarts
