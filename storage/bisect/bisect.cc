#include "storage/bisect/bisect.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/bisect/bisect_cursor.h"
#include "storage/bisect/dataset.h"
#include "storage/data_file/immutable_store.h"

namespace kvarts {
namespace {

Capabilities BisectCapabilities() {
  Capabilities c;
  c.scan = Support::kNative;
  c.ordered_scan = Support::kNative;
  c.backward_scan = Support::kNative;
  c.slot_scan = Support::kEmulatedLinear;
  c.snapshot = Support::kNative;  // nothing ever changes
  c.shared_by_processes = true;
  c.bounded_memory = true;
  c.atomic_multi_get = true;
  return c;
}

// Thread-safe.
class BisectStore final : public ImmutableStore<Dataset> {
 public:
  using ImmutableStore::ImmutableStore;

  Capabilities capabilities() const override { return BisectCapabilities(); }

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    KVARTS_RETURN_IF_ERROR(CheckCursor(options));
    return NewBisectCursor(dataset(), options);
  }

  absl::StatusOr<StoreStats> Stats() override {
    if (closed()) return ClosedError();
    const IndexHeader& header = dataset()->index().header();
    StoreStats stats;
    stats.entries = header.entries;
    stats.entries_exact = true;
    stats.memory_bytes = dataset()->index().memory_bytes();
    stats.disk_bytes = header.file_bytes() + header.data.size;
    stats.details = {
        {"data_file", dataset()->data_path()},
        {"data_bytes", absl::StrCat(header.data.size)},
        {"data_lines", absl::StrCat(header.lines)},
        {"malformed_lines", absl::StrCat(header.malformed)},
        {"index_file", dataset()->index().path()},
        {"index_bytes", absl::StrCat(header.file_bytes())},
        {"keys", header.coding.kind() == KeyCoding::Kind::kUuid4 ? "uuid4" : "text"},
        {"radix_bits", absl::StrCat(header.radix_bits)},
        {"tag_bits", absl::StrCat(header.tag_bits)},
        {"length_bits", absl::StrCat(header.length_bits)},
        {"offset_bits", absl::StrCat(header.offset_bits)},
    };
    return stats;
  }
};

}  // namespace

std::string DefaultIndexPath(absl::string_view data_path) {
  return absl::StrCat(data_path, ".bisect");
}

absl::StatusOr<std::unique_ptr<Store>> OpenBisect(absl::string_view data_path,
                                                  const BisectOptions& options) {
  const std::string index_path =
      options.index_path.empty() ? DefaultIndexPath(data_path) : options.index_path;
  KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<const Dataset> dataset,
                          Dataset::Open(options.fs, data_path, index_path));
  return std::unique_ptr<Store>(std::make_unique<BisectStore>(std::move(dataset)));
}

}  // namespace kvarts
