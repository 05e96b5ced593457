#ifndef KVARTS_STORAGE_WRITE_BATCH_H_
#define KVARTS_STORAGE_WRITE_BATCH_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/read_results.h"

namespace kvarts {

// What a put or a touch does to the expiry and content type of a key. The
// default is a plain put's: both are cleared.
struct Metadata {
  enum class Change : unsigned char { kClear = 0, kKeep, kSet };

  Change expiry = Change::kClear;
  int64_t expires_at_ms = 0;  // for kSet: Unix milliseconds, from which on the key is absent
  Change content_type = Change::kClear;
  absl::string_view type;  // at most 255 bytes, for kSet

  static Metadata Keep() { return {Change::kKeep, 0, Change::kKeep, {}}; }
};

struct Mutation {
  enum class Kind : unsigned char {
    kPut = 0,
    kDelete,
    kTouch,        // changes only the metadata, of a key that is present
    kDeleteRange,  // keys from `key` up to, not including, `value`; "" is no end
  };

  Kind kind = Kind::kPut;
  absl::string_view key;
  absl::string_view value;
  Metadata metadata;
};

struct Precondition {
  enum class Kind : unsigned char { kAbsent = 0, kPresent, kUnchanged };

  Kind kind = Kind::kAbsent;
  absl::string_view key;
  Stamp stamp;  // for kUnchanged
};

// Mutations in the order they are to be applied, and the preconditions of all
// of them. Borrows all bytes: they must stay as they are until the Write() that
// takes the batch has returned. Not thread-safe.
class WriteBatch {
 public:
  void Put(absl::string_view key, absl::string_view value, const Metadata& metadata = {}) {
    mutations_.push_back({Mutation::Kind::kPut, key, value, metadata});
  }
  void Delete(absl::string_view key) {
    mutations_.push_back({Mutation::Kind::kDelete, key, {}, {}});
  }
  void Touch(absl::string_view key, const Metadata& metadata) {
    mutations_.push_back({Mutation::Kind::kTouch, key, {}, metadata});
  }
  void DeleteRange(absl::string_view begin, absl::string_view end) {
    mutations_.push_back({Mutation::Kind::kDeleteRange, begin, end, {}});
  }
  void Add(const Mutation& mutation) { mutations_.push_back(mutation); }

  void RequireAbsent(absl::string_view key) {
    preconditions_.push_back({Precondition::Kind::kAbsent, key, {}});
  }
  void RequirePresent(absl::string_view key) {
    preconditions_.push_back({Precondition::Kind::kPresent, key, {}});
  }
  void RequireUnchanged(absl::string_view key, const Stamp& stamp) {
    preconditions_.push_back({Precondition::Kind::kUnchanged, key, stamp});
  }
  void Add(const Precondition& precondition) { preconditions_.push_back(precondition); }

  void Clear() {
    mutations_.clear();
    preconditions_.clear();
  }
  bool empty() const { return mutations_.empty() && preconditions_.empty(); }
  absl::Span<const Mutation> mutations() const { return mutations_; }
  absl::Span<const Precondition> preconditions() const { return preconditions_; }

 private:
  std::vector<Mutation> mutations_;
  std::vector<Precondition> preconditions_;
};

struct WriteResult {
  absl::Status status;
  // Deletes and touches: the key was there. Puts: it was replaced. Set only
  // where WriteOptions::report_existed asks for it, and never by range deletions.
  bool existed = false;
};

// The outcomes of a Write(), one for each mutation in its order.
struct WriteResults {
  std::vector<WriteResult> results;
  // The first precondition that did not hold, or -1. With it, Write() returned
  // kFailedPrecondition and applied nothing.
  int failed_precondition = -1;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_WRITE_BATCH_H_
