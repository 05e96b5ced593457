#include "cluster/node/sim/few_stamps_store.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace kvarts {
namespace {

class FewStampsStore final : public Store {
 public:
  FewStampsStore(std::unique_ptr<Store> under, std::shared_ptr<GivenStamps> given)
      : under_(std::move(under)), seen_(std::move(given)) {}

  Capabilities capabilities() const override { return under_->capabilities(); }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    under_->MultiGet(keys, options, results);
    if (!options.stamp) return;
    for (size_t i = 0; i < keys.size(); ++i) {
      ReadResult& result = results->mutable_result(i);
      if (result.status.ok()) result.stamp = {NumberOf(keys[i], result.stamp), 0};
    }
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    ++seen_->writes;
    WriteBatch translated;
    for (const Mutation& m : batch.mutations()) translated.Add(m);
    for (Precondition p : batch.preconditions()) {
      if (p.kind == Precondition::Kind::kUnchanged) p.stamp = StampOf(p.key, p.stamp);
      translated.Add(p);
    }
    return under_->Write(translated, options, results);
  }

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    return under_->NewCursor(options);
  }
  absl::StatusOr<StoreStats> Stats() override { return under_->Stats(); }
  absl::Status Close() override { return under_->Close(); }

 private:
  uint64_t NumberOf(absl::string_view key, const Stamp& stamp) {
    std::vector<Stamp>& seen = seen_->of_keys[std::string(key)];
    const auto it = std::find(seen.begin(), seen.end(), stamp);
    if (it != seen.end()) return static_cast<uint64_t>(it - seen.begin() + 1);
    seen.push_back(stamp);
    return seen.size();
  }
  Stamp StampOf(absl::string_view key, const Stamp& number) const {
    const auto it = seen_->of_keys.find(std::string(key));
    const bool is_known = it != seen_->of_keys.end() && number.low == 0 && number.high > 0 &&
                          number.high <= it->second.size();
    return is_known ? it->second[number.high - 1] : Stamp{~uint64_t{0}, ~uint64_t{0}};
  }

  const std::unique_ptr<Store> under_;
  const std::shared_ptr<GivenStamps> seen_;
};

}  // namespace

std::unique_ptr<Store> NewFewStampsStore(std::unique_ptr<Store> under,
                                         std::shared_ptr<GivenStamps> given) {
  return std::make_unique<FewStampsStore>(std::move(under), std::move(given));
}

}  // namespace kvarts
