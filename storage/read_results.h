#ifndef KVARTS_STORAGE_READ_RESULTS_H_
#define KVARTS_STORAGE_READ_RESULTS_H_

#include "base/language.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// Sixteen opaque bytes that name a state of a key, absence too. Equal stamps of
// a key mean that nothing wrote it in between; unequal ones may be false alarms
// (a store may keep one stamp for many keys).
struct Stamp {
  uint64_t high = 0;
  uint64_t low = 0;
  friend bool operator==(const Stamp& a, const Stamp& b) {
    return a.high == b.high && a.low == b.low;
  }
  friend bool operator!=(const Stamp& a, const Stamp& b) { return !(a == b); }
};

// Keeps bytes that a store lent out where they are: a mapped file, a block of a
// cache. Copies share it; the last one lets go, on whichever thread that is,
// also after the store was closed or destroyed.
using Pin = std::shared_ptr<const void>;

// Bytes that live as long as this object: lent ones (pins) and copied ones
// (an arena). Not thread-safe: one thread at a time.
class Bytes {
 public:
  Bytes() = default;
  // What was moved from holds nothing, and may be used again.
  Bytes(Bytes&& other) noexcept { *this = std::move(other); }
  Bytes& operator=(Bytes&& other) noexcept;

  // Forgets all bytes. Memory, and the pins of the time before, may be kept for
  // reuse until they are replaced: a loop over one store then touches no
  // reference count. Release() lets go of all.
  ABSL_ATTRIBUTE_ALWAYS_INLINE void Clear() {
    live_pins_ = 0;
    watched_ = Watched();
    block_used_ = 0;
    if (ABSL_PREDICT_FALSE(blocks_.size() > 1 || block_size_ > kMaxKeptBytes ||
                           !also_watched_.empty())) {
      ClearMore();
    }
  }
  void Release();

  // Holds `pin` until Clear(). The very pin of the time before, and repeated pins
  // of one object, cost a comparison.
  void AddPin(const Pin& pin) {
    if (ABSL_PREDICT_TRUE(live_pins_ == 0 && first_pin_ == pin.get() && first_pin_ != nullptr)) {
      live_pins_ = 1;
    } else {
      AddPinSlow(pin);
    }
  }
  // Names a counter that moves when lent bytes are lost (a mapped file that
  // shrank), and what it was when they were last known to be good. It must live
  // as long as a pin added before.
  void WatchLosses(const std::atomic<uint32_t>& losses, uint32_t seen) {
    if (watched_.losses == nullptr) {
      watched_ = {&losses, seen};
    } else if (watched_.losses != &losses) {  // else the earlier look is the stricter one
      WatchAlso({&losses, seen});
    }
  }
  // False: bytes that were lent may have turned to zeros since. Ask after the
  // last look at them: a server, before it sends.
  bool intact() const {
    return watched_.intact() && std::all_of(also_watched_.begin(), also_watched_.end(),
                                            [](const Watched& w) { return w.intact(); });
  }
  // Takes all that `other` holds; views into it stay good.
  void Adopt(Bytes&& other);
  // `size` bytes to be written by the caller; stable until Clear().
  char* Allocate(size_t size) {
    if (ABSL_PREDICT_FALSE(block_size_ - block_used_ < size)) AddBlock(size);
    char* const out = blocks_.back().get() + block_used_;
    block_used_ += size;
    return out;
  }
  absl::string_view Copy(absl::string_view bytes);

 private:
  // A block kept for reuse is no larger than this, so that one large value does not stay
  // with a connection for ever.
  static constexpr size_t kMaxKeptBytes = 1 << 20;

  struct Watched {
    bool intact() const {
      return losses == nullptr || losses->load(std::memory_order_acquire) == seen;
    }
    const std::atomic<uint32_t>* losses = nullptr;
    uint32_t seen = 0;
  };

  void AddPinSlow(const Pin& pin);
  void WatchAlso(const Watched& watched);
  void ClearMore();
  void AddBlock(size_t size);

  std::vector<Pin> pins_;
  size_t live_pins_ = 0;             // of them; the others may be used again
  const void* first_pin_ = nullptr;  // what pins_[0] holds, if there is one
  Watched watched_;                  // most bytes are of one file
  std::vector<Watched> also_watched_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  size_t block_size_ = 0;  // of blocks_.back()
  size_t block_used_ = 0;
};

// What reading one key gave. Absence is a value, never an error.
struct ReadResult {
  absl::Status status;  // not OK: it is not known whether the key is there
  bool found = false;
  absl::string_view value;         // empty where absent or not asked for
  absl::string_view content_type;  // empty: none
  int64_t expires_at_ms = 0;       // Unix milliseconds; 0: never
  Stamp stamp;                     // where asked for, of an absent key too

  void Clear() {
    if (ABSL_PREDICT_FALSE(!status.ok())) status = absl::OkStatus();
    found = false;
    value = {};
    content_type = {};
    expires_at_ms = 0;
    stamp = {};
  }
};

// The outcomes of a read, one for each key asked, in the order asked. The views
// in them are good until the next read into this object, Release(), or its end,
// whatever happens to the store. Reuse one object a thread: it then allocates
// nothing. Not thread-safe.
class ReadResults {
 public:
  size_t size() const { return results_.size(); }
  const ReadResult& operator[](size_t i) const { return results_[i]; }
  const ReadResult* begin() const { return results_.data(); }
  const ReadResult* end() const { return results_.data() + results_.size(); }
  void Release();
  // See Bytes::intact().
  bool intact() const { return bytes_.intact(); }

  // For stores: `n` absent results and no bytes; then fill them in.
  void Reset(size_t n) {
    bytes_.Clear();
    if (results_.size() != n) Resize(n);
    for (ReadResult& result : results_) result.Clear();
  }
  // Reset(1), for single reads, which are worth it.
  ABSL_ATTRIBUTE_ALWAYS_INLINE ReadResult& ResetOne() {
    bytes_.Clear();
    if (ABSL_PREDICT_FALSE(results_.size() != 1)) Resize(1);
    results_.front().Clear();
    return results_.front();
  }
  ReadResult& mutable_result(size_t i) { return results_[i]; }
  Bytes& bytes() { return bytes_; }
  // The same error for each of `n` keys.
  void Fail(size_t n, const absl::Status& status);

 private:
  void Resize(size_t n);

  std::vector<ReadResult> results_;
  Bytes bytes_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_READ_RESULTS_H_
