#ifndef KVARTS_TESTING_MODEL_MODEL_DATA_H_
#define KVARTS_TESTING_MODEL_MODEL_DATA_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/checksum.h"
#include "base/mutex.h"
#include "storage/store.h"
#include "testing/model/model_store.h"

// What the model store and its cursors share. Private to them.
namespace kvarts {
namespace model {

// What is known of a key. A deleted one stays as a tombstone: were its version
// forgotten, a key that comes back could match a stamp from before.
struct Entry {
  bool present = false;
  std::string value;
  std::string content_type;
  int64_t expires_at_ms = 0;
  uint64_t version = 0;  // of the Write() that touched it last

  // Expired entries are absent for everyone. They need not be removed: the time
  // alone decides.
  bool LiveAt(int64_t now_ms) const {
    return present && (expires_at_ms == 0 || expires_at_ms > now_ms);
  }

  // Coming and going with time is no write, so a stamp has to say both.
  Stamp StampAt(int64_t now_ms) const { return {version, LiveAt(now_ms) ? 1u : 0u}; }
};

// By key, or, for a store without ordered_scan, by a hash of it.
struct Order {
  using is_transparent = void;  // find() takes a string_view

  bool by_key = true;

  bool operator()(absl::string_view a, absl::string_view b) const {
    if (by_key) return a < b;
    return std::make_pair(Checksum(a), a) < std::make_pair(Checksum(b), b);
  }
};

using Entries = std::map<std::string, Entry, Order>;

// Null where the key is not there.
inline const Entry* Find(const Entries& entries, absl::string_view key, int64_t now_ms) {
  const auto it = entries.find(key);
  return it != entries.end() && it->second.LiveAt(now_ms) ? &it->second : nullptr;
}

inline Stamp StampOf(const Entries& entries, absl::string_view key, int64_t now_ms) {
  const auto it = entries.find(key);
  return it != entries.end() ? it->second.StampAt(now_ms) : Stamp();
}

}  // namespace model

// The "disk" that model_store.h declares. Thread-safe under its lock.
class ModelData {
 public:
  Mutex mu;
  model::Entries entries ABSL_GUARDED_BY(mu);
  uint64_t version ABSL_GUARDED_BY(mu) = 0;
};

namespace model {

// A copy of everything. Expiry goes on in it.
class ModelSnapshot final : public Snapshot {
 public:
  ModelSnapshot(std::shared_ptr<ModelData> data, Entries entries)
      : data(std::move(data)), entries(std::move(entries)) {}

  const std::shared_ptr<ModelData> data;  // tells whose snapshot it is
  const Entries entries;
};

// Sets `*out` to what to read: the snapshot where one is named, else `data`.
inline absl::Status Resolve(const std::shared_ptr<const Snapshot>& snapshot, const ModelData& data,
                            const Entries** out) ABSL_EXCLUSIVE_LOCKS_REQUIRED(data.mu) {
  *out = &data.entries;
  if (snapshot == nullptr) return absl::OkStatus();
  const auto* const ours = dynamic_cast<const ModelSnapshot*>(snapshot.get());
  if (ours == nullptr || ours->data.get() != &data) {
    return absl::InvalidArgumentError("a snapshot of another store");
  }
  *out = &ours->entries;
  return absl::OkStatus();
}

}  // namespace model
}  // namespace kvarts

#endif  // KVARTS_TESTING_MODEL_MODEL_DATA_H_
