#ifndef KVARTS_CLUSTER_COORDINATOR_H_
#define KVARTS_CLUSTER_COORDINATOR_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace kvarts {

// A small map from names to values with one total order of changes: the only place where it is
// decided which node holds which slot. The names and values are cluster/table.h's.
//
// On its event loop only; callbacks run there, never inside the call that takes them, each once,
// or are destroyed unrun with the coordinator.
//
// Left out on purpose: leases and locks (a lease that ended means "look", never "it is dead"),
// reads of single names (the whole is small: some 70 names).
class Coordinator {
 public:
  virtual ~Coordinator() = default;

  struct Value {
    std::string bytes;
    int64_t revision = 0;  // of the transaction that wrote it
    friend bool operator==(const Value& a, const Value& b) {
      return a.bytes == b.bytes && a.revision == b.revision;
    }
  };

  // Not thread-safe; a copy may go to another thread. Values by their names, in the order of names.
  // Copies share them until one of the copies is changed: who reads pays nothing for what nobody
  // has changed.
  class Values {
   public:
    using Map = std::map<std::string, Value>;
    using const_iterator = Map::const_iterator;

    Values() = default;
    Values(const Values& other) : map_(other.map_), shared_(true) { other.shared_ = true; }
    Values& operator=(const Values& other) { return *this = Values(other); }
    Values(Values&&) = default;
    Values& operator=(Values&&) = default;

    const_iterator begin() const { return map_->begin(); }
    const_iterator end() const { return map_->end(); }
    const_iterator find(const std::string& name) const { return map_->find(name); }
    const Value& at(const std::string& name) const { return map_->at(name); }
    size_t count(const std::string& name) const { return map_->count(name); }
    size_t size() const { return map_->size(); }
    bool empty() const { return map_->empty(); }
    Value& operator[](const std::string& name) { return Mutable()[name]; }
    size_t erase(const std::string& name) { return Mutable().erase(name); }

    // Whether both are the same copy, unchanged: no other question is answered that fast.
    bool SharesWith(const Values& other) const { return map_ == other.map_; }

    friend bool operator==(const Values& a, const Values& b) { return *a.map_ == *b.map_; }
    friend bool operator==(const Values& a, const Map& b) { return *a.map_ == b; }

   private:
    Map& Mutable() {
      if (shared_) map_ = std::make_shared<Map>(*map_);
      shared_ = false;
      return *map_;
    }

    std::shared_ptr<Map> map_ = std::make_shared<Map>();
    // That there was a copy, be it gone: another thread's last look at it is ordered before nothing
    // here, whatever the count of references says.
    mutable bool shared_ = false;
  };

  // All of it at one revision. A revision is never given twice, and grows with every transaction
  // that changes something; other things may make it grow too.
  struct Contents {
    int64_t revision = 0;
    Values values;
  };

  // Takes place whole or not at all.
  struct Transaction {
    struct Compare {
      std::string name;
      int64_t revision = 0;  // the value's must be this; 0: there must be no value
    };
    struct Change {
      std::string name;
      std::optional<std::string> bytes;  // nothing: the name is removed
    };
    std::vector<Compare> compares;
    std::vector<Change> changes;  // names differ; at most 120
  };

  struct Outcome {
    bool succeeded = false;  // false: a comparison did not hold, and nothing was changed
    int64_t revision = 0;    // of what it wrote, if it succeeded
  };

  // Reads all, as new as any transaction that had ended before the call: never a stale copy.
  // kUnavailable, kDeadlineExceeded: no answer.
  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<Contents>)>;
  virtual void Read(absl::Duration timeout, ReadDone done) = 0;

  // kUnavailable: it was not and will not be done. kDeadlineExceeded: it may have been, or may yet
  // be done, until another transaction changes what it compares. It is then right to try the same
  // again: as each compares what it changes, it takes place once at the most.
  using CommitDone = absl::AnyInvocable<void(absl::StatusOr<Outcome>)>;
  virtual void Commit(Transaction transaction, absl::Duration timeout, CommitDone done) = 0;

  // Once. `changed` is called when something may have changed: a hint to read again, which can
  // get lost or come for nothing. Destroyed with the coordinator.
  virtual void Watch(absl::AnyInvocable<void()> changed) = 0;
};

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_H_
