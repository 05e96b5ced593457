#include "storage/sstable/iterator.h"

namespace kvarts::sstable {
namespace {

// A dozen children at most are alike to each other: looking at all of them is as fast as a heap.
class MergingIterator final : public Iterator {
 public:
  explicit MergingIterator(std::vector<std::unique_ptr<Iterator>> children)
      : children_(std::move(children)) {}

  void Seek(absl::string_view key, Trailer trailer) override {
    for (auto& child : children_) child->Seek(key, trailer);
    FindFirst();
  }
  void SeekToFirst() override {
    for (auto& child : children_) child->SeekToFirst();
    FindFirst();
  }
  void SeekBefore(absl::string_view key, Trailer trailer) override {
    for (auto& child : children_) child->SeekBefore(key, trailer);
    FindLast();
  }
  void SeekToLast() override {
    for (auto& child : children_) child->SeekToLast();
    FindLast();
  }
  void Next() override {
    current_->Next();
    FindFirst();
  }
  void Prev() override {
    current_->Prev();
    FindLast();
  }
  bool valid() const override { return current_ != nullptr; }
  Entry entry() const override { return current_->entry(); }
  absl::Status status() const override { return status_; }
  Pin pin() const override { return current_->pin(); }

 private:
  // A child with an error would hide what it holds: the whole ends there.
  bool Failed() {
    for (auto& child : children_) {
      if (!child->valid()) status_.Update(child->status());
    }
    current_ = nullptr;
    return !status_.ok();
  }
  void FindFirst() {
    if (Failed()) return;
    Entry least;
    for (auto& child : children_) {
      if (!child->valid()) continue;
      const Entry entry = child->entry();
      if (current_ == nullptr || EntryLess(entry.key, entry.trailer, least.key, least.trailer)) {
        current_ = child.get();
        least = entry;
      }
    }
  }
  void FindLast() {
    if (Failed()) return;
    Entry most;
    for (auto& child : children_) {
      if (!child->valid()) continue;
      const Entry entry = child->entry();
      if (current_ == nullptr || EntryLess(most.key, most.trailer, entry.key, entry.trailer)) {
        current_ = child.get();
        most = entry;
      }
    }
  }

  const std::vector<std::unique_ptr<Iterator>> children_;
  Iterator* current_ = nullptr;
  absl::Status status_;
};

}  // namespace

std::unique_ptr<Iterator> NewMergingIterator(std::vector<std::unique_ptr<Iterator>> children) {
  if (children.size() == 1) return std::move(children.front());
  return std::make_unique<MergingIterator>(std::move(children));
}

}  // namespace kvarts::sstable
