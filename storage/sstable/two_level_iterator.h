#ifndef KVARTS_STORAGE_SSTABLE_TWO_LEVEL_ITERATOR_H_
#define KVARTS_STORAGE_SSTABLE_TWO_LEVEL_ITERATOR_H_

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/sstable/iterator.h"

namespace kvarts::sstable {

// Not thread-safe. The entries of parts that follow each other in order, each opened when it is
// reached: the blocks of a table, or the tables of a run. `Parts` has
//   size_t size() const
//   size_t Find(key) const         the part from which on to look for entries not less than `key`
//   size_t FindBefore(key) const   the part from which back to look for entries before `key`, or
//                                  versions of it; size() or more: there are none
//   absl::StatusOr<std::unique_ptr<Iterator>> Open(size_t part)
//   absl::Status Error(size_t part, absl::Status status) const   what a part's error is told as
template <typename Parts>
class TwoLevelIterator final : public Iterator {
 public:
  explicit TwoLevelIterator(Parts parts) : parts_(std::move(parts)) {}

  void Seek(absl::string_view key, Trailer trailer) override {
    if (GoTo(parts_.Find(key))) it_->Seek(key, trailer);
    Skip(true);
  }
  void SeekBefore(absl::string_view key, Trailer trailer) override {
    if (GoTo(parts_.FindBefore(key))) it_->SeekBefore(key, trailer);
    Skip(false);
  }
  void SeekToLast() override {
    if (GoTo(parts_.size() - 1)) it_->SeekToLast();
    Skip(false);
  }
  void Next() override {
    it_->Next();
    Skip(true);
  }
  void Prev() override {
    it_->Prev();
    Skip(false);
  }
  absl::Status status() const override { return status_; }
  Pin pin() const override { return it_->pin(); }

 private:
  // False, and there is no entry, where there is no such part or it cannot be opened.
  bool GoTo(size_t part) {
    status_ = absl::OkStatus();
    if (it_ != nullptr && part == part_ && it_->status().ok()) return true;
    it_ = nullptr;
    if (part >= parts_.size()) return false;
    auto opened = parts_.Open(part);
    status_ = opened.status();
    if (!opened.ok()) return false;
    part_ = part;
    it_ = *std::move(opened);
    return true;
  }
  // Shows where the part stands; goes on to the next part, or the one before, where this one has
  // no more entries.
  void Skip(bool forwards) {
    while (it_ != nullptr && !it_->valid()) {
      if (absl::Status status = it_->status(); !status.ok()) {
        status_ = parts_.Error(part_, std::move(status));
        it_ = nullptr;
      } else if (GoTo(forwards ? part_ + 1 : part_ - 1)) {
        forwards ? it_->SeekToFirst() : it_->SeekToLast();
      }
    }
    it_ == nullptr ? ShowNothing() : Show(it_->entry());
  }

  Parts parts_;
  size_t part_ = 0;
  std::unique_ptr<Iterator> it_;
  absl::Status status_;
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_TWO_LEVEL_ITERATOR_H_
