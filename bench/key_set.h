#ifndef KVARTS_BENCH_KEY_SET_H_
#define KVARTS_BENCH_KEY_SET_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "bench/bench_data.h"

namespace kvarts {

// Immutable, so thread-safe. The keys of a data set, by number: those of
// bench_data.h, of which nothing is kept, or those of a list. Numbers from size()
// on are keys of records that a run inserts; Absent() are never there.
class KeySet {
 public:
  // `records` keys of bench_data.h. REQUIRES: at least 1, at most kMaxRecords.
  static constexpr uint64_t kMaxRecords = uint64_t{1} << 40;
  explicit KeySet(uint64_t records) : size_(records) {}

  // Collects a list within a bound of memory: where the keys are more, it keeps
  // every second one, every fourth, and so on. Not thread-safe.
  class Builder {
   public:
    explicit Builder(size_t max_bytes = size_t{256} << 20) : max_bytes_(max_bytes) {}
    void Add(absl::string_view key);
    uint64_t added() const { return added_; }
    KeySet Build() &&;

   private:
    void Thin();

    const size_t max_bytes_;
    uint64_t added_ = 0;
    uint64_t stride_ = 1;  // one in so many is kept
    std::string bytes_;
    std::vector<uint32_t> ends_;  // of each key in bytes_
  };

  uint64_t size() const { return size_; }
  // Of bench_data.h: BenchValue() tells what their values are.
  bool made() const { return ends_.empty(); }

  // The key of a record. Good as long as the set and `scratch` are, which has
  // kBenchUuidBytes bytes.
  absl::string_view Key(uint64_t record, char* scratch) const {
    if (!made() && record < size_) {
      const uint32_t begin = record == 0 ? 0 : ends_[record - 1];
      return absl::string_view(bytes_).substr(begin, ends_[record] - begin);
    }
    BenchUuid(made() ? record : kInserted + record, scratch);
    return {scratch, kBenchUuidBytes};
  }
  static absl::string_view Absent(uint64_t number, char* scratch) {
    BenchUuid(kAbsent + number % kAbsent, scratch);
    return {scratch, kBenchUuidBytes};
  }

 private:
  KeySet(std::string bytes, std::vector<uint32_t> ends)
      : size_(ends.size()), bytes_(std::move(bytes)), ends_(std::move(ends)) {}

  // The numbers of BenchUuid() in the thirds of 2^62, so that none meets another.
  static constexpr uint64_t kInserted = uint64_t{1} << 60;
  static constexpr uint64_t kAbsent = uint64_t{1} << 61;

  uint64_t size_;
  std::string bytes_;
  std::vector<uint32_t> ends_;
};

}  // namespace kvarts

#endif  // KVARTS_BENCH_KEY_SET_H_
