#ifndef KVARTS_NET_RESP_TRANSACTION_STORE_H_
#define KVARTS_NET_RESP_TRANSACTION_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "storage/store.h"

namespace kvarts {
namespace resp {

// A key, and a state of it.
struct WatchedKey {
  std::string key;
  Stamp stamp;
};

// Whether a TransactionStore can lie over a store of these capabilities: OK, or what is missing.
absl::Status CheckTransactions(const Capabilities& capabilities);

// Not thread-safe. A store as one transaction sees it, for commands that know nothing
// of transactions:
//
//   reads  ─▶ what the transaction wrote, else the base, whose stamps are noted
//   writes ─▶ kept here, seen by later reads
//   Commit() ─▶ one atomic Write() to the base, on condition that every key that was
//               read is still as it was
//
// So a transaction is as if it happened at its Commit(). It waits for nobody; where
// others wrote what it read, it has no effect, and is to be run again with another
// object. Blind writes (MSET, SET) are on no condition.
//
// Over a store whose atomic batches are of one slot (BatchScope::kShard) so are transactions: of
// several, Commit() is the store's kInvalidArgument. A key whose slot is not this node's (see
// storage/slot_status.h) is an error of its read, and of Commit().
//
// Scans, and Stats().entries, are of the base as it is at the moment, with the
// transaction's own writes; Commit() does not look at them again.
class TransactionStore final : public Store {
 public:
  // `base` and `clock` outlive it. REQUIRES: CheckTransactions() of `base` is OK.
  TransactionStore(Store* base, const Clock* clock);

  Capabilities capabilities() const override { return capabilities_; }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override;
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override;
  // Of keys only.
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override;
  absl::StatusOr<StoreStats> Stats() override;
  absl::Status Close() override { return absl::UnimplementedError("the base is closed instead"); }

  enum class Outcome : unsigned char {
    kDone,
    kConflict,  // a key that was read has changed: again
    kWatched,   // a watched key has changed
  };
  // Once, last. On an error, but for kDeadlineExceeded, nothing was written.
  absl::StatusOr<Outcome> Commit(absl::Span<const WatchedKey> watched);

 private:
  friend class TransactionCursor;

  enum class Change : unsigned char { kNone, kPut, kDeleted, kTouched };

  // What is known of a key.
  struct Known {
    bool read = false;  // of the base, with `stamp`
    Stamp stamp;
    Change change = Change::kNone;
    bool was_put = false;
    uint64_t version = 0;                      // of the last change
    std::shared_ptr<const std::string> value;  // of a put
    int64_t expires_at_ms = 0;                 // of a put, of a touch
    std::string content_type;
  };

  bool LiveAt(const Known& known, int64_t now_ms) const {
    return known.change != Change::kDeleted &&
           (known.expires_at_ms == 0 || known.expires_at_ms > now_ms);
  }
  int64_t NowMs() const { return absl::ToUnixMillis(clock_->Now()); }
  Known& KnownOf(absl::string_view key) { return known_[std::string(key)]; }
  // Null where the transaction did not change it.
  const Known* ChangeOf(absl::string_view key) const;
  void NoteRead(absl::string_view key, const Stamp& stamp);
  // Without the value. Good until the next call.
  absl::StatusOr<const ReadResult*> Look(absl::string_view key, bool stamp);
  absl::StatusOr<bool> Holds(const Precondition& precondition);
  absl::Status Apply(const Mutation& mutation, bool report_existed, bool* existed);
  void SetMetadata(const Metadata& metadata, const ReadResult* old, Known* known);

  Store* const base_;
  const Clock* const clock_;
  const Capabilities capabilities_;

  // Ordered: a stranger's keys cannot make it slow.
  std::map<std::string, Known, std::less<>> known_;
  bool cleared_ = false;    // all keys of the base are deleted
  absl::Status elsewhere_;  // the first key that was read is not this node's: nothing is done
  bool conflict_ = false;   // the base changed between two reads of a key
  size_t reads_ = 0;        // calls to the base
  uint64_t version_ = 0;
  ReadResults looked_;
};

// True where all of `watched` are as they were.
absl::StatusOr<bool> AreUnchanged(Store* store, absl::Span<const WatchedKey> watched);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_TRANSACTION_STORE_H_
