#include "storage/dict/dict.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/data_file/immutable_store.h"
#include "storage/dict/builder.h"
#include "storage/dict/dataset.h"
#include "storage/dict/dict_cursor.h"

namespace kvarts {
namespace {

Capabilities DictCapabilities() {
  Capabilities c;
  c.scan = Support::kNative;
  c.slot_scan = Support::kEmulatedLinear;
  c.snapshot = Support::kNative;  // nothing ever changes
  c.shared_by_processes = true;
  c.atomic_multi_get = true;
  return c;
}

// Thread-safe.
class DictStore final : public ImmutableStore<DictDataset> {
 public:
  DictStore(std::shared_ptr<const DictDataset> dataset, DictReport report)
      : ImmutableStore(std::move(dataset)), report_(std::move(report)) {}

  Capabilities capabilities() const override { return DictCapabilities(); }

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    KVARTS_RETURN_IF_ERROR(CheckCursor(options));
    return NewDictCursor(dataset(), options);
  }

  absl::StatusOr<StoreStats> Stats() override {
    if (closed()) return ClosedError();
    const SlotLayout& layout = dataset()->table().layout();
    StoreStats stats;
    stats.entries = report_.entries;
    stats.entries_exact = true;
    stats.memory_bytes = report_.table_bytes;
    stats.disk_bytes = report_.data_bytes;
    stats.details = {
        {"data_file", dataset()->data_path()},
        {"data_bytes", absl::StrCat(report_.data_bytes)},
        {"data_lines", absl::StrCat(report_.lines)},
        {"malformed_lines", absl::StrCat(report_.malformed)},
        {"table_bytes", absl::StrCat(report_.table_bytes)},
        {"build_seconds", absl::StrCat(absl::ToDoubleSeconds(report_.time))},
        {"tag_bits", absl::StrCat(layout.tag_bits)},
        {"length_bits", absl::StrCat(layout.size_bits)},
        {"offset_bits", absl::StrCat(layout.offset_bits)},
    };
    return stats;
  }

 private:
  const DictReport report_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenDict(absl::string_view data_path,
                                                const DictOptions& options, DictReport* report) {
  DictReport own;
  KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<const DictDataset> dataset,
                          BuildDict(data_path, options, &own));
  if (report != nullptr) *report = own;
  return std::unique_ptr<Store>(std::make_unique<DictStore>(std::move(dataset), std::move(own)));
}

}  // namespace kvarts
