#ifndef KVARTS_TESTING_MODEL_FAKE_MAINTENANCE_H_
#define KVARTS_TESTING_MODEL_FAKE_MAINTENANCE_H_

#include "base/language.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/layers/forwarding_store.h"

namespace kvarts {

// Thread-safe. Does nothing but note what it was asked, and wait where a test holds it.
class FakeMaintenance final : public Maintenance {
 public:
  absl::Status Flush() override { return Note("flush"); }
  absl::Status Compact(const KeyRange& range) override {
    return Note(absl::StrCat("compact ", range.begin, " to ", range.end));
  }
  absl::StatusOr<uint64_t> ApproximateBytes(const KeyRange& range) override {
    const absl::Status status = Note(absl::StrCat("bytes ", range.begin, " to ", range.end));
    if (!status.ok()) return status;
    return 12345;
  }
  absl::StatusOr<VerifyReport> Verify() override {
    const absl::Status status = Note("verify");
    if (!status.ok()) return status;
    return VerifyReport{3, 4096, 17};
  }
  absl::StatusOr<std::string> Checkpoint(absl::string_view name) override {
    const absl::Status status = Note(absl::StrCat("checkpoint ", name));
    if (!status.ok()) return status;
    return absl::StrCat("/checkpoints/", name.empty() ? "of-now" : name);
  }
  absl::StatusOr<IndexReport> LoadIndex() override { return Index("load index", 0); }
  absl::StatusOr<IndexReport> SaveIndexSnapshot(absl::string_view path) override {
    return Index(absl::StrCat("save index ", path), 0);
  }
  absl::StatusOr<IndexReport> LoadIndexSnapshot(absl::string_view path) override {
    return Index(absl::StrCat("load index ", path), 2);
  }

  std::vector<std::string> Calls() const {
    MutexLock lock(&mu_);
    return calls_;
  }
  // Calls wait from now on, until LetGo().
  void Hold() {
    MutexLock lock(&mu_);
    held_ = true;
  }
  // Returns when `n` calls have come.
  void AwaitCalls(size_t n) const {
    MutexLock lock(&mu_);
    while (calls_.size() < n) changed_.Wait(&mu_);
  }
  // Calls end so, those that wait and later ones.
  void LetGo(const absl::Status& status = absl::OkStatus()) {
    MutexLock lock(&mu_);
    held_ = false;
    status_ = status;
    changed_.SignalAll();
  }

 private:
  absl::StatusOr<IndexReport> Index(std::string call, uint64_t from_file) {
    const absl::Status status = Note(std::move(call));
    if (!status.ok()) return status;
    return IndexReport{3, 1000, 65536, from_file};
  }

  absl::Status Note(std::string call) {
    MutexLock lock(&mu_);
    calls_.push_back(std::move(call));
    changed_.SignalAll();
    while (held_) changed_.Wait(&mu_);
    return status_;
  }

  mutable Mutex mu_;
  mutable CondVar changed_;
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mu_);
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

// Another store with a FakeMaintenance.
class MaintainedStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  FakeMaintenance* maintenance() override { return &maintenance_; }

 private:
  FakeMaintenance maintenance_;
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_MODEL_FAKE_MAINTENANCE_H_
