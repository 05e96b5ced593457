#include "apps/repl/shell.h"

#include <unistd.h>

#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/repl/completion.h"
#include "apps/repl/history.h"
#include "apps/repl/interrupts.h"
#include "apps/repl/line_editor.h"
#include "apps/repl/line_source.h"

namespace kvarts {
namespace {

class StandardConsole final : public ReplConsole {
 public:
  // `prefix`: of errors.
  explicit StandardConsole(absl::string_view prefix) : prefix_(prefix) {}

  bool Print(absl::string_view bytes) override {
    return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
  }
  bool Flush() override { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }
  void Complain(absl::string_view line) override {
    std::fflush(stdout);
    std::fputs(absl::StrCat(prefix_, line, "\n").c_str(), stderr);
  }

 private:
  const std::string prefix_;
};

// What is typed is kept for the next time, as long as that can be done.
class Recall {
 public:
  Recall(LineEditor* editor, ReplConsole* console)
      : editor_(editor), console_(console), file_(HistoryFile::DefaultPath()) {
    const absl::StatusOr<std::vector<std::string>> lines = file_.Load();
    if (!lines.ok()) {
      Fail(lines.status());
      return;
    }
    for (const std::string& line : *lines) editor_->Remember(line);
  }

  void Add(const std::string& line) {
    // One that begins with a blank is the user's secret, as shells have it.
    if (line.empty() || line == last_ || line[0] == ' ') return;
    last_ = line;
    editor_->Remember(line);
    if (failed_) return;
    const absl::Status status = file_.Add(line);
    if (!status.ok()) Fail(status);
  }

 private:
  void Fail(const absl::Status& status) {
    failed_ = true;
    console_->Complain(absl::StrCat("no history is kept: ", status.message()));
  }

  LineEditor* const editor_;
  ReplConsole* const console_;
  HistoryFile file_;
  std::string last_;
  bool failed_ = false;
};

void RunInteractive(Store* store, Repl* repl, ReplConsole* console) {
  LineEditor editor("kvarts> ", [store](absl::string_view line) { return Complete(line, store); });
  Recall recall(&editor, console);
  std::string line;
  while (!repl->done() && Interrupts::end_signal() == 0) {
    Interrupts::Clear();
    switch (editor.ReadLine(&line)) {
      case LineEditor::Result::kLine:
        recall.Add(line);
        repl->Run(line, 0);
        repl->Wait();
        break;
      case LineEditor::Result::kInterrupted:
        console->Print("^C\n");
        break;
      case LineEditor::Result::kEnd:
        console->Print("\n");
        return;
    }
  }
}

void RunScript(Repl* repl) {
  LineSource source(STDIN_FILENO, Interrupts::wake_fd());
  while (!repl->done() && Interrupts::end_signal() == 0) {
    // Who writes the lines may be waiting for the answers.
    if (!source.Ready()) repl->Wait();
    absl::string_view line;
    switch (source.Next(&line)) {
      case LineSource::Result::kLine:
        repl->Run(line, source.line_number());
        break;
      case LineSource::Result::kTooLong:
        repl->Refuse(absl::InvalidArgumentError(absl::StrCat("the line is longer than ",
                                                             LineSource::kMaxLineBytes, " bytes")),
                     "", source.line_number());
        break;
      case LineSource::Result::kFailed:
        repl->Refuse(source.error(), "", 0);
        return;
      case LineSource::Result::kInterrupted:
        Interrupts::Drain();
        break;
      case LineSource::Result::kEnd:
        return;
    }
  }
}

}  // namespace

int RunShell(Store* store, const ShellOptions& options) {
  const bool is_interactive = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  const Interrupts interrupts(is_interactive ? Interrupts::Kind::kInteractive
                                             : Interrupts::Kind::kScript);
  StandardConsole console(is_interactive ? "" : "kv_repl: ");
  ReplOptions repl_options;
  repl_options.style.json = options.json;
  repl_options.style.times = is_interactive;
  repl_options.style.plain_texts = ::isatty(STDOUT_FILENO) != 1;
  repl_options.sync = options.sync;
  repl_options.inspect = options.inspect;
  repl_options.repair = options.repair;
  repl_options.open = options.open;
  int code = 0;
  {
    Repl repl(store, repl_options, &console);
    if (is_interactive) {
      if (!options.json) console.Print(absl::StrCat(options.greeting, "\n"));
      RunInteractive(store, &repl, &console);
    } else {
      RunScript(&repl);
    }
    repl.Wait();
    if (repl.failed() && !is_interactive) code = 1;
  }
  const absl::Status closed = store->Close();
  if (!closed.ok()) {
    console.Complain(absl::StrCat("the store cannot be closed: ", closed.message()));
    code = 1;
  }
  if (Interrupts::end_signal() != 0) {
    console.Flush();
    Interrupts::EndBySignal();
  }
  return code;
}

}  // namespace kvarts
