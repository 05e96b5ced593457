#ifndef KVARTS_GROUPBY_SORTED_TEXT_QUEUE_H_
#define KVARTS_GROUPBY_SORTED_TEXT_QUEUE_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "groupby/grouping.h"

namespace kvarts::groupby_internal {

// Keys and the texts of their groups, from one thread that writes them to one that reads
// them, in two batches: one is filled while the other is read. In a batch they lie one behind
// the other,
//
//   key size (4) | text size (4) | goes on (1) | key | text
//
// and a text that goes on does so in the next batch, as an entry without a key.
class TextQueue {
 public:
  // `room` is lent and has two batches, each with room for EntryBytes() of the longest key.
  TextQueue(char* room, size_t batch_bytes) : room_(room), batch_bytes_(batch_bytes) {}
  // That of an entry with a text of at least one byte.
  static constexpr size_t EntryBytes(size_t key_bytes) { return kHeaderBytes + key_bytes + 1; }

  // Ends both sides: their calls are kCancelled from now on. From any thread.
  void Stop();

  // Not thread-safe: for the thread that writes.
  class Writer final : public Groups::Output {
   public:
    explicit Writer(TextQueue* queue) : queue_(queue), batch_(queue->room_) {}
    // Each group is one BeginGroup(), any number of Append(), and EndGroup().
    absl::Status BeginGroup(absl::string_view key);
    absl::Status Append(absl::string_view text) override;
    void EndGroup() { EndEntry(/*goes_on=*/false); }
    // Behind the last one.
    absl::Status Finish();

   private:
    size_t left() const { return queue_->batch_bytes_ - size_; }
    void BeginEntry(absl::string_view key);
    void EndEntry(bool goes_on);
    // Hands the batch over and waits for the other.
    absl::Status Flush();

    TextQueue* const queue_;
    char* batch_;
    size_t size_ = 0;
    size_t entry_ = 0;  // where the last one begins
    uint32_t key_bytes_ = 0;
  };

  // Not thread-safe: for the thread that reads.
  class Reader {
   public:
    explicit Reader(TextQueue* queue) : queue_(queue) {}
    // Goes to the next entry. False behind the last one.
    absl::StatusOr<bool> Next();
    // Both are good until Next(). The key is empty where the entry goes on with the last one.
    absl::string_view key() const { return key_; }
    absl::string_view text() const { return text_; }
    bool goes_on() const { return goes_on_; }

   private:
    TextQueue* const queue_;
    absl::string_view batch_;  // what is left of it
    absl::string_view key_;
    absl::string_view text_;
    bool goes_on_ = false;
  };

 private:
  static constexpr size_t kHeaderBytes = 9;

  // The writer's: takes the batch of so many bytes and returns the other.
  absl::StatusOr<char*> Put(size_t bytes);
  void End();
  // The reader's: gives back the batch it has, if any; returns the next one, empty at the end.
  absl::StatusOr<absl::string_view> Take();

  char* const room_;
  const size_t batch_bytes_;

  Mutex mu_;
  CondVar changed_;
  uint64_t put_ ABSL_GUARDED_BY(mu_) = 0;    // batches
  uint64_t taken_ ABSL_GUARDED_BY(mu_) = 0;  // the last of which may be under way
  size_t bytes_[2] ABSL_GUARDED_BY(mu_) = {};
  bool reads_ ABSL_GUARDED_BY(mu_) = false;  // the reader has a batch
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_TEXT_QUEUE_H_
