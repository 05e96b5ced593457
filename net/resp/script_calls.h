#ifndef KVARTS_NET_RESP_SCRIPT_CALLS_H_
#define KVARTS_NET_RESP_SCRIPT_CALLS_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/resp/commands.h"
#include "net/resp/key_slots.h"
#include "net/resp/scripts/limits.h"

namespace kvarts {
namespace resp {

// The commands of one run of a script, over `serving`.
class ScriptCalls final : public ScriptHost {
 public:
  // `call`, of the script itself, and `serving` outlive it. `declared`: the slots of KEYS.
  ScriptCalls(CommandCall* call, const Serving* serving, bool read_only, const KeySlots& declared)
      : call_(call), serving_(serving), read_only_(read_only), slots_(declared) {}

  void Call(absl::Span<const absl::string_view> args, ReplyWriter* reply) override;

 private:
  // Empty, or the reply.
  std::string WhyRefused(const Command& command, absl::Span<const absl::string_view> args);
  std::string WhyElsewhere(const Command& command, absl::Span<const absl::string_view> args);
  void CarryOut(const Command& command, absl::Span<const absl::string_view> args,
                ReplyWriter* reply);
  void Read(const Command& command, absl::Span<const absl::string_view> args, ReplyWriter* reply);
  void Write(const Command& command, absl::Span<const absl::string_view> args, ReplyWriter* reply);

  CommandCall* const call_;
  const Serving* const serving_;
  const bool read_only_;
  KeySlots slots_;      // of all that was asked so far
  size_t touched_ = 0;  // bytes of arguments: what the transaction may have to keep
  Scratch scratch_;
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_SCRIPT_CALLS_H_
