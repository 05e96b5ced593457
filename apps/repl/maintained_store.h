#ifndef KVARTS_APPS_REPL_MAINTAINED_STORE_H_
#define KVARTS_APPS_REPL_MAINTAINED_STORE_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "storage/layers/forwarding_store.h"
#include "storage/maintenance.h"
#include "testing/model/model_store.h"

namespace kvarts {

// Not thread-safe. For tests: a store that has files to care for, as it says, and that notes what
// it was asked.
class MaintainedStore final : public ForwardingStore, public Maintenance {
 public:
  MaintainedStore() : ForwardingStore(NewModelStore()) {}

  // All calls from here on fail.
  void FailWith(const absl::Status& status) { failure_ = status; }
  std::string TakeCalls() { return std::exchange(calls_, ""); }

  Maintenance* maintenance() override { return this; }

  absl::Status Flush() override { return Note("flush"); }
  absl::Status Compact(const KeyRange& range) override {
    return Note(absl::StrCat("compact[", range.begin, ",", range.end, ")"));
  }
  absl::StatusOr<uint64_t> ApproximateBytes(const KeyRange&) override { return 0; }
  absl::StatusOr<VerifyReport> Verify() override {
    const absl::Status status = Note("verify");
    if (!status.ok()) return status;
    return VerifyReport{2, 4096, 10};
  }
  absl::StatusOr<std::string> Checkpoint(absl::string_view name) override {
    const absl::Status status = Note(absl::StrCat("checkpoint(", name, ")"));
    if (!status.ok()) return status;
    return name.empty() ? "/made/by/time" : std::string(name);
  }
  absl::StatusOr<IndexReport> LoadIndex() override { return Index("load_index", 0); }
  absl::StatusOr<IndexReport> SaveIndexSnapshot(absl::string_view path) override {
    return Index(absl::StrCat("save(", path, ")"), 0);
  }
  absl::StatusOr<IndexReport> LoadIndexSnapshot(absl::string_view path) override {
    return Index(absl::StrCat("load(", path, ")"), 2);
  }

 private:
  absl::Status Note(absl::string_view call) {
    absl::StrAppend(&calls_, call, " ");
    return failure_;
  }
  absl::StatusOr<IndexReport> Index(absl::string_view call, uint64_t from_file) {
    const absl::Status status = Note(call);
    if (!status.ok()) return status;
    return IndexReport{3, 100, 777, from_file};
  }

  std::string calls_;
  absl::Status failure_;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_MAINTAINED_STORE_H_
