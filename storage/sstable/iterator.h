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
class Iterator {
 public:
  virtual ~Iterator() = default;

  // Goes to the first entry that is not less than (key, trailer).
  virtual void Seek(absl::string_view key, Trailer trailer) = 0;
  virtual void SeekToFirst() { Seek({}, ~Trailer{0}); }
  // Goes to the last entry that is less than (key, trailer).
  virtual void SeekBefore(absl::string_view key, Trailer trailer) = 0;
  virtual void SeekToLast() = 0;
  virtual void Next() = 0;
  virtual void Prev() = 0;

  virtual bool valid() const = 0;
  // Good until the iterator moves.
  virtual Entry entry() const = 0;
  virtual absl::Status status() const = 0;
  // Keeps what entry() shows for longer; null: copy it.
  virtual Pin pin() const { return nullptr; }
};

// The entries of all `children` in one order. It goes in one direction from each seek on: Next()
// after Seek() and SeekToFirst(), Prev() after the other two.
std::unique_ptr<Iterator> NewMergingIterator(std::vector<std::unique_ptr<Iterator>> children);

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_ITERATOR_H_
