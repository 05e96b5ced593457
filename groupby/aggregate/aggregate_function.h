#ifndef KVARTS_GROUPBY_AGGREGATE_AGGREGATE_FUNCTION_H_
#define KVARTS_GROUPBY_AGGREGATE_AGGREGATE_FUNCTION_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "groupby/aggregate/number.h"
#include "groupby/aggregate/state_arena.h"

namespace kvarts {

// The bytes of a state whose number varies: in an arena, beside the state.
struct StateBlock {
  char* data = nullptr;
  uint32_t bytes = 0;
  uint32_t capacity = 0;

  absl::string_view view() const { return {data, bytes}; }
  // Room for `size` bytes; what was in it is kept. False where there is no memory, and
  // nothing is changed then.
  bool Reserve(size_t size, StateArena* arena);
  bool Set(absl::string_view v, StateArena* arena);
};

// What a row has for an aggregate: the field, and the number it is where that is asked for.
struct FieldInput {
  absl::string_view field;
  const Number* number = nullptr;
};

// Thread-safe: without a state of its own. How an aggregate is computed: on states, which
// are `state_bytes()` bytes each, aligned to 8, that are moved and written to files as they
// are; one that needs more starts with a StateBlock.
//
// States of rows may be split up at any place, and are then merged in their order. So
// for rows a, b, c: Merge(Add(a), Add(b, c)) == Merge(Add(a, b), Add(c)), and a state that
// was only initialised, as either side of a merge, changes nothing.
//
// A function of your own is written more easily as a struct: custom_aggregate.h.
class AggregateFunction {
 public:
  enum class Input : unsigned char {
    kNone = 0,  // of the row nothing but that it is there
    kField,
    kNumber,    // a field that is a number
    kDistinct,  // the field where it is the group's first of its kind; no other merge
  };
  // What Finish() writes, for a format that tells them apart (NDJSON).
  enum class Result : unsigned char {
    kText = 0,
    kNumber,   // or nothing where there was none
    kNumbers,  // separated by commas
  };

  virtual ~AggregateFunction() = default;

  virtual Input input() const = 0;
  virtual Result result() const = 0;
  virtual size_t state_bytes() const = 0;  // a multiple of 8
  virtual bool has_block() const { return false; }

  // `state` is zeroed. May be called once for all.
  virtual void Init(char* /*state*/) const {}
  // False where the arena has no room: nothing is changed then, it is called again.
  virtual bool Add(char* state, const FieldInput& input, StateArena* arena) const = 0;
  // Adds the rows of `newer`, which come behind those of `state`. False as above.
  virtual bool Merge(char* state, const char* newer, StateArena* arena) const = 0;
  // Appends the result. Errors name what is wrong, not the group.
  virtual absl::Status Finish(const char* state, std::string* result) const = 0;
};

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_AGGREGATE_AGGREGATE_FUNCTION_H_
