#include "storage/sstable/iterator.h"

namespace kvarts::sstable {
namespace {

// Mostly the next entry is of the same child as the one before: a table has many between two of
// another. So the child that comes after the current one is known, and one comparison with it says
// whether the current one goes on. Else all are looked at, which for a dozen children at most is as
// fast as a heap.
class MergingIterator final : public Iterator {
 public:
  explicit MergingIterator(std::vector<std::unique_ptr<Iterator>> children)
      : children_(std::move(children)) {}

  void Seek(absl::string_view key, Trailer trailer) override {
    for (auto& child : children_) child->Seek(key, trailer);
    Begin(true);
  }
  void SeekToFirst() override {
    for (auto& child : children_) child->SeekToFirst();
    Begin(true);
  }
  void SeekBefore(absl::string_view key, Trailer trailer) override {
    for (auto& child : children_) child->SeekBefore(key, trailer);
    Begin(false);
  }
  void SeekToLast() override {
    for (auto& child : children_) child->SeekToLast();
    Begin(false);
  }
  void Next() override {
    current_->Next();
    GoOn(true);
  }
  void Prev() override {
    current_->Prev();
    GoOn(false);
  }
  absl::Status status() const override { return status_; }
  Pin pin() const override { return current_->pin(); }

 private:
  // Whether a's entry is to come before b's.
  static bool ComesFirst(const Iterator& a, const Iterator& b, bool forwards) {
    const Entry& x = forwards ? a.entry() : b.entry();
    const Entry& y = forwards ? b.entry() : a.entry();
    return EntryLess(x.key, x.trailer, y.key, y.trailer);
  }
  // The child whose entry comes first of those that are not `but`, or null.
  Iterator* First(const Iterator* but, bool forwards) {
    Iterator* first = nullptr;
    for (auto& child : children_) {
      if (!child->valid() || child.get() == but) continue;
      if (first == nullptr || ComesFirst(*child, *first, forwards)) first = child.get();
    }
    return first;
  }
  void Begin(bool forwards) {
    status_ = absl::OkStatus();
    for (auto& child : children_) {
      if (!child->valid()) status_.Update(child->status());
    }
    current_ = First(nullptr, forwards);
    second_ = First(current_, forwards);
    ShowCurrent();
  }
  // The current child has moved.
  void GoOn(bool forwards) {
    if (!current_->valid()) {
      status_ = current_->status();
      current_ = second_;
      second_ = First(current_, forwards);
    } else if (second_ != nullptr && !ComesFirst(*current_, *second_, forwards)) {
      current_ = second_;
      second_ = First(current_, forwards);
    }
    ShowCurrent();
  }
  // A child with an error would hide what it holds: the whole ends there.
  void ShowCurrent() {
    current_ == nullptr || !status_.ok() ? ShowNothing() : Show(current_->entry());
  }

  const std::vector<std::unique_ptr<Iterator>> children_;
  Iterator* current_ = nullptr;
  Iterator* second_ = nullptr;  // what comes after it, of the others; null: they have no more
  absl::Status status_;
};

}  // namespace

std::unique_ptr<Iterator> NewMergingIterator(std::vector<std::unique_ptr<Iterator>> children) {
  if (children.size() == 1) return std::move(children.front());
  return std::make_unique<MergingIterator>(std::move(children));
}

}  // namespace kvarts::sstable
