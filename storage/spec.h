#ifndef KVARTS_STORAGE_SPEC_H_
#define KVARTS_STORAGE_SPEC_H_

#include "base/language.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/store.h"

namespace kvarts {

// The name of a store, as flags, configuration and shells write it: a URL of a
// scheme, a target and options in the query (RFC 3986, percent-decoded).
//   memory:                            scheme "memory", target ""
//   bisect:my%20data?index=/tmp/i      target "my data", option index=/tmp/i
//   tcp://127.0.0.1:7700               target "127.0.0.1:7700"
// The target of a `cluster:` spec is taken verbatim, that of `redis:` and `rediss:` is not decoded.
// A value; not thread-safe while it is changed.
class StoreSpec {
 public:
  static absl::StatusOr<StoreSpec> Parse(absl::string_view text);

  // For people: ShownSpec().
  const std::string& text() const { return text_; }
  const std::string& scheme() const { return scheme_; }
  const std::string& target() const { return target_; }

  // Takes an option: its value, or `fallback` where it was not given. What
  // nobody takes is an error in Finish(), which lists the options asked for.
  std::string Take(absl::string_view name, absl::string_view fallback = "");
  // A size as base/size.h has them ("64MiB").
  absl::StatusOr<uint64_t> TakeBytes(absl::string_view name, uint64_t fallback);
  // "true", "1", "yes" or an empty value; "false", "0", "no".
  absl::StatusOr<bool> TakeBool(absl::string_view name, bool fallback);
  absl::Status Finish() const;

 private:
  std::string text_;         // as it is shown
  bool has_secret_ = false;  // and is not shown as it was written
  std::string scheme_;
  std::string target_;
  std::map<std::string, std::string> options_;
  std::vector<std::string> known_;
};

// `spec` for people to see: without the user and password of a coordinator or a server,
// "cluster:etcd://USER:PASSWORD@HOST:PORT/NAME", "redis://USER:PASSWORD@HOST:PORT". Also of those
// that take none, and of unknown ones.
std::string ShownSpec(absl::string_view spec);

// `spec` with one more option, percent-encoded.
std::string WithOption(absl::string_view spec, absl::string_view name, absl::string_view value);

// Schemes and what opens them. Filled by an app, in one place, by name; then
// constant and safe for concurrent use. There is no global one.
class StoreFactories {
 public:
  // Opens the store of a parsed spec. Takes its options, then calls Finish().
  using Factory = std::function<absl::StatusOr<std::unique_ptr<Store>>(StoreSpec& spec)>;

  // `usage` for help and errors: "bisect:PATH?index=PATH".
  void Add(absl::string_view scheme, absl::string_view usage, Factory factory);

  // kInvalidArgument for an unknown scheme or option lists the known ones.
  absl::StatusOr<std::unique_ptr<Store>> Open(absl::string_view spec) const;

  // The usages, one a line, indented by two spaces.
  std::string Help() const;

 private:
  struct Entry {
    std::string usage;
    Factory factory;
  };
  std::map<std::string, Entry> factories_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SPEC_H_
