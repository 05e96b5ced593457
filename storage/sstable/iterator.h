#ifndef KVARTS_STORAGE_SSTABLE_ITERATOR_H_
#define KVARTS_STORAGE_SSTABLE_ITERATOR_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/sstable/entry.h"

namespace kvarts::sstable {

// Not thread-safe. Goes over entries in their order (see EntryLess), each with its own versions.
// An error ends it: it is then not valid, and status() says why.
//
// Where it stands is kept here, since iterators are made of iterators: to move is a call through
// each of them, to look is none.
class Iterator {
 public:
  Iterator() = default;
  virtual ~Iterator() = default;
  Iterator(const Iterator&) = delete;
  Iterator& operator=(const Iterator&) = delete;

  // Goes to the first entry that is not less than (key, trailer).
  virtual void Seek(absl::string_view key, Trailer trailer) = 0;
  virtual void SeekToFirst() { Seek({}, ~Trailer{0}); }
  // Goes to the last entry that is less than (key, trailer).
  virtual void SeekBefore(absl::string_view key, Trailer trailer) = 0;
  virtual void SeekToLast() = 0;
  virtual void Next() = 0;
  virtual void Prev() = 0;

  bool valid() const { return valid_; }
  // Good until the iterator moves.
  const Entry& entry() const { return entry_; }
  virtual absl::Status status() const { return absl::OkStatus(); }
  // Keeps what entry() shows for longer; null: copy it.
  virtual Pin pin() const { return nullptr; }

 protected:
  // Each move ends with one of these.
  void Show(const Entry& entry) {
    valid_ = true;
    entry_ = entry;
  }
  void ShowNothing() { valid_ = false; }

 private:
  bool valid_ = false;
  Entry entry_;
};

// The entries of all `children` in one order. It goes in one direction from each seek on: Next()
// after Seek() and SeekToFirst(), Prev() after the other two.
std::unique_ptr<Iterator> NewMergingIterator(std::vector<std::unique_ptr<Iterator>> children);

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_ITERATOR_H_
