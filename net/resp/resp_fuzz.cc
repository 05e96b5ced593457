#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/resp/glob.h"
#include "net/resp/parser.h"
#include "net/resp/session_harness.h"
#include "testing/model/manual_clock.h"

// Bytes of a stranger. The first byte of the input says how they come and to what;
// the rest are the bytes.
namespace kvarts {
namespace resp {
namespace {

struct Parsed {
  std::vector<std::vector<std::string>> requests;
  std::string error;
};

Parsed Parse(absl::string_view bytes, size_t step, const RequestLimits& limits) {
  RequestParser parser;
  parser.SetLimits(limits);
  Parsed parsed;
  while (!bytes.empty() && parsed.error.empty()) {
    const absl::Span<char> space = parser.Space();
    const size_t n = std::min({space.size(), bytes.size(), step});
    std::copy_n(bytes.begin(), n, space.begin());
    bytes.remove_prefix(n);
    parser.Filled(n);
    while (true) {
      const RequestParser::Result result = parser.Next();
      if (result == RequestParser::Result::kError) parsed.error = parser.error();
      if (result != RequestParser::Result::kRequest) break;
      if (parser.args().empty()) __builtin_trap();
      parsed.requests.emplace_back(parser.args().begin(), parser.args().end());
    }
  }
  return parsed;
}

// However the bytes come, they are the same requests.
void FuzzParser(absl::string_view bytes, size_t step, const RequestLimits& limits) {
  const Parsed whole = Parse(bytes, SIZE_MAX, limits);
  const Parsed parts = Parse(bytes, step, limits);
  if (whole.requests != parts.requests || whole.error != parts.error) __builtin_trap();
  for (const auto& request : whole.requests) {
    if (request.size() < 2 || request[1].size() > 200) continue;
    // What a pattern matches begins with its prefix.
    const bool matches = GlobMatches(request[0], request[1]);
    const std::string prefix = GlobPrefix(request[0]);
    if (matches && request[1].substr(0, prefix.size()) != prefix) __builtin_trap();
    if (GlobMatchesAll(request[0]) && !matches) __builtin_trap();
  }
}

struct SessionKind {
  bool password = false;
  bool may_block = false;
  bool writes = false;
  bool two = false;          // connections: a byte 1 goes over to the other
  bool reads_apart = false;  // a MultiGet of the store is not one state
  bool small = false;        // few bytes may wait
};

void FuzzSession(absl::string_view bytes, size_t step, const SessionKind& kind) {
  ManualClock clock;
  ModelStoreOptions model;
  model.clock = &clock;
  model.capabilities.may_block = kind.may_block;
  model.capabilities.atomic_multi_get = !kind.reads_apart;
  if (!kind.writes) {
    model.capabilities.write = Support::kAbsent;
    model.capabilities.conditions = Support::kAbsent;
    model.capabilities.batch_scope = BatchScope::kNone;
    model.capabilities.delete_range = Support::kAbsent;
  }
  model.records = {{"a", "1"}, {"b", std::string(5000, 'b')}, {"", "empty"}};
  RespOptions options;
  options.clock = &clock;
  options.allow_flush = true;
  options.max_output_bytes = 20000;
  // Endless loops are quickly found, and are no finding.
  options.script_timeout = absl::Milliseconds(20);
  options.max_script_bytes = 1 << 20;
  // Above what is lent. Of the store's own limit one input in a hundred took most of the time.
  options.max_value_bytes = 16 << 10;
  if (kind.small) options.max_request_bytes = 300;
  if (kind.small) options.max_answer_bytes = 6000;
  if (kind.password) options.password = std::string(1, 'p');
  SessionHarness harness(NewModelStore(model), options);
  std::unique_ptr<SessionHarness::Connection> connections[] = {harness.Connect(),
                                                               harness.Connect()};
  size_t at = 0;
  while (!bytes.empty() && !connections[at]->over()) {
    size_t n = std::min(step, bytes.size());
    if (kind.two) n = std::min(n, bytes.find('\1'));
    if (n > 0) harness.Send(*connections[at], bytes.substr(0, n));
    bytes.remove_prefix(n);
    if (kind.two && !bytes.empty() && bytes[0] == '\1') {
      at = 1 - at;
      bytes.remove_prefix(1);
    }
  }
  for (const auto& connection : connections) {
    harness.End(*connection);
    harness.Send(*connection, "");
  }
  harness.loop().Advance(absl::Minutes(1));
  // The peers have ended, nothing is left.
  for (const auto& connection : connections) {
    if (!connection->over()) __builtin_trap();
  }
}

}  // namespace
}  // namespace resp
}  // namespace kvarts

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t how = data[0];
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t step = (how & 16) != 0 ? 1 + (how >> 5) : SIZE_MAX;
  if ((how & 1) != 0) {
    const auto limits = kvarts::resp::RequestLimits::BeforeAuthentication();
    kvarts::resp::FuzzParser(bytes, 1 + (how >> 5),
                             (how & 2) != 0 ? limits : kvarts::resp::RequestLimits());
  } else {
    kvarts::resp::SessionKind kind;
    kind.password = (how & 2) != 0;
    kind.may_block = (how & 4) != 0;
    kind.writes = (how & 8) != 0;
    if ((how & 16) == 0) {
      kind.two = (how & 32) != 0;
      kind.reads_apart = (how & 64) != 0;
      kind.small = (how & 128) != 0;
    }
    kvarts::resp::FuzzSession(bytes, step, kind);
  }
  return 0;
}
