#include "storage/capabilities.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

// Calls f(name, a.member, b.member, out.member) for each member of a kind, so
// that a new one is added in one place.
template <typename F, typename... C>
void ForEachSupport(F f, C&... c) {
  f("write", c.write...);
  f("conditions", c.conditions...);
  f("delete_range", c.delete_range...);
  f("scan", c.scan...);
  f("ordered_scan", c.ordered_scan...);
  f("backward_scan", c.backward_scan...);
  f("slot_scan", c.slot_scan...);
  f("snapshot", c.snapshot...);
  f("expiry", c.expiry...);
  f("content_type", c.content_type...);
}

template <typename F, typename... C>
void ForEachFlag(F f, C&... c) {
  f("durable", c.durable...);
  f("shared_by_processes", c.shared_by_processes...);
  f("bounded_memory", c.bounded_memory...);
  f("atomic_multi_get", c.atomic_multi_get...);
  f("may_block", c.may_block...);
  f("no_wait", c.no_wait...);
  f("discards", c.discards...);
}

template <typename F, typename... C>
void ForEachLimit(F f, C&... c) {
  f("max_batch_mutations", c.max_batch_mutations...);
  f("max_batch_bytes", c.max_batch_bytes...);
}

}  // namespace

bool operator==(const Capabilities& a, const Capabilities& b) {
  bool equal = a.batch_scope == b.batch_scope;
  const auto compare = [&equal](const char*, auto x, auto y) { equal = equal && x == y; };
  ForEachSupport(compare, a, b);
  ForEachFlag(compare, a, b);
  ForEachLimit(compare, a, b);
  return equal;
}

Capabilities Intersect(const Capabilities& a, const Capabilities& b) {
  Capabilities out;
  out.batch_scope = std::min(a.batch_scope, b.batch_scope);
  ForEachSupport([](const char*, Support x, Support y, Support& o) { o = std::min(x, y); }, a, b,
                 out);
  ForEachFlag([](const char*, bool x, bool y, bool& o) { o = x && y; }, a, b, out);
  ForEachLimit([](const char*, uint64_t x, uint64_t y, uint64_t& o) { o = std::min(x, y); }, a, b,
               out);
  // Two stores may be called on a loop thread where each does not block, or says how not to.
  out.no_wait =
      (a.no_wait || !a.may_block) && (b.no_wait || !b.may_block) && (a.may_block || b.may_block);
  out.may_block = a.may_block || b.may_block;
  out.discards = a.discards || b.discards;
  return out;
}

const char* ToText(Support support) {
  switch (support) {
    case Support::kAbsent:
      return "absent";
    case Support::kEmulatedLinear:
      return "emulated, O(n)";
    case Support::kEmulatedLog:
      return "emulated, O(log n)";
    case Support::kNative:
      return "native";
  }
  return "?";
}

const char* ToText(BatchScope scope) {
  switch (scope) {
    case BatchScope::kNone:
      return "none";
    case BatchScope::kKey:
      return "key";
    case BatchScope::kShard:
      return "shard";
    case BatchScope::kStore:
      return "store";
  }
  return "?";
}

std::string ToText(const Capabilities& capabilities) {
  std::string out = absl::StrCat("batch_scope=", ToText(capabilities.batch_scope));
  ForEachSupport(
      [&out](const char* name, Support s) { absl::StrAppend(&out, " ", name, "=", ToText(s)); },
      capabilities);
  ForEachFlag(
      [&out](const char* name, bool b) { absl::StrAppend(&out, " ", name, "=", b ? "yes" : "no"); },
      capabilities);
  ForEachLimit(
      [&out](const char* name, uint64_t n) {
        if (n != Capabilities::kNoLimit) absl::StrAppend(&out, " ", name, "=", n);
      },
      capabilities);
  return out;
}

}  // namespace kvarts
