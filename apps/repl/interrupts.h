#ifndef KVARTS_APPS_REPL_INTERRUPTS_H_
#define KVARTS_APPS_REPL_INTERRUPTS_H_

namespace kvarts {

// The signals that a shell answers. One for the process, made on main()'s thread and before
// others; what it says is for that thread.
//
// SIGINT ends what is under way, where Kind is kInteractive; elsewhere it is as SIGTERM. SIGTERM
// and SIGHUP (not where it is ignored, as by nohup) end the shell: at its next look, or at once
// where it waits for a store, which may take for ever. A second one, or a second SIGINT during one
// wait, ends it at once in any case.
class Interrupts {
 public:
  enum class Kind : unsigned char { kScript = 0, kInteractive };

  explicit Interrupts(Kind kind);
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // The command under way is to end: by SIGINT, or since the shell is to.
  static bool cancelled();
  // Forgets a SIGINT, for the next command.
  static void Clear();
  // The signal that the shell is to end by, or 0.
  static int end_signal();
  // Readable since there was a signal, or Wake(), and until Drain(): for poll(). Look at what
  // came behind Drain(), not in front of it.
  static int wake_fd();
  static void Drain();
  // Handlers of other signals call it.
  static void Wake();
  // Ends the process by end_signal(), as its parent expects of one that was asked to.
  [[noreturn]] static void EndBySignal();

  // The calling thread waits for the store as long as this lives. `hint`, where given, is shown
  // to who interrupts a wait that cannot be ended; a literal.
  class Waiting {
   public:
    explicit Waiting(const char* hint = nullptr);
    ~Waiting();
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
  };
};

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_INTERRUPTS_H_
