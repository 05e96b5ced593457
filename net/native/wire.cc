#include "net/native/wire.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace native {
namespace {

// Of the last few types only: entries of one type mostly come together, and a
// search through all would cost the square of their number.
constexpr int kTypesSearched = 8;

uint32_t Number(Support support) { return static_cast<uint32_t>(support); }

Support ToSupport(uint32_t number) {
  return number <= Number(Support::kNative) ? static_cast<Support>(number) : Support::kAbsent;
}

absl::Status WrongSizes() {
  return absl::InvalidArgumentError("the sizes in the header do not add up to the payload");
}

// Cuts pieces off a payload.
class Cutter {
 public:
  explicit Cutter(absl::string_view payload) : left_(payload) {}
  bool Cut(size_t size, absl::string_view* piece) {
    if (size > left_.size()) return false;
    *piece = left_.substr(0, size);
    left_.remove_prefix(size);
    return true;
  }
  bool empty() const { return left_.empty(); }

 private:
  absl::string_view left_;
};

absl::Status BadNumber(absl::string_view what, uint32_t number) {
  return absl::InvalidArgumentError(absl::StrCat("an unknown ", what, ", number ", number));
}

}  // namespace

CapabilitySet ToProto(const Capabilities& c) {
  CapabilitySet set;
  set.set_write(Number(c.write));
  set.set_conditions(Number(c.conditions));
  set.set_batch_scope(static_cast<uint32_t>(c.batch_scope));
  set.set_delete_range(Number(c.delete_range));
  set.set_scan(Number(c.scan));
  set.set_ordered_scan(Number(c.ordered_scan));
  set.set_backward_scan(Number(c.backward_scan));
  set.set_slot_scan(Number(c.slot_scan));
  set.set_snapshot(Number(c.snapshot));
  set.set_expiry(Number(c.expiry));
  set.set_content_type(Number(c.content_type));
  set.set_durable(c.durable);
  set.set_shared_by_processes(c.shared_by_processes);
  set.set_bounded_memory(c.bounded_memory);
  set.set_atomic_multi_get(c.atomic_multi_get);
  set.set_may_block(c.may_block);
  set.set_discards(c.discards);
  if (c.max_batch_mutations != Capabilities::kNoLimit) {
    set.set_max_batch_mutations(c.max_batch_mutations);
  }
  if (c.max_batch_bytes != Capabilities::kNoLimit) set.set_max_batch_bytes(c.max_batch_bytes);
  return set;
}

Capabilities FromProto(const CapabilitySet& set) {
  Capabilities c;
  c.write = ToSupport(set.write());
  c.conditions = ToSupport(set.conditions());
  c.batch_scope = set.batch_scope() <= static_cast<uint32_t>(BatchScope::kStore)
                      ? static_cast<BatchScope>(set.batch_scope())
                      : BatchScope::kNone;
  c.delete_range = ToSupport(set.delete_range());
  c.scan = ToSupport(set.scan());
  c.ordered_scan = ToSupport(set.ordered_scan());
  c.backward_scan = ToSupport(set.backward_scan());
  c.slot_scan = ToSupport(set.slot_scan());
  c.snapshot = ToSupport(set.snapshot());
  c.expiry = ToSupport(set.expiry());
  c.content_type = ToSupport(set.content_type());
  c.durable = set.durable();
  c.shared_by_processes = set.shared_by_processes();
  c.bounded_memory = set.bounded_memory();
  c.atomic_multi_get = set.atomic_multi_get();
  c.may_block = set.may_block();
  c.discards = set.discards();
  if (set.max_batch_mutations() != 0) c.max_batch_mutations = set.max_batch_mutations();
  if (set.max_batch_bytes() != 0) c.max_batch_bytes = set.max_batch_bytes();
  return c;
}

absl::Status MakeStatus(uint32_t code, absl::string_view message) {
  if (code > static_cast<uint32_t>(absl::StatusCode::kUnauthenticated)) {
    return absl::InternalError(absl::StrCat("error ", code, ": ", message));
  }
  return absl::Status(static_cast<absl::StatusCode>(code), message);
}

void SetStatus(const absl::Status& status, Response* response) {
  if (status.ok()) return;
  response->set_code(static_cast<uint32_t>(status.raw_code()));
  response->set_message(std::string(status.message()));
}

void AddError(size_t index, const absl::Status& status, Response* response) {
  ItemError* const error = response->add_errors();
  error->set_index(static_cast<uint32_t>(index));
  error->set_code(static_cast<uint32_t>(status.raw_code()));
  error->set_message(std::string(status.message()));
}

absl::Status ReadKeys(const Request& request, absl::string_view payload,
                      std::vector<absl::string_view>* keys) {
  Cutter cutter(payload);
  keys->resize(static_cast<size_t>(request.key_sizes_size()));
  size_t i = 0;
  for (const uint32_t size : request.key_sizes()) {
    if (!cutter.Cut(size, &(*keys)[i++])) return WrongSizes();
  }
  return cutter.empty() ? absl::OkStatus() : WrongSizes();
}

absl::Status ReadBatch(const Write& write, absl::string_view payload, WriteBatch* batch) {
  Cutter cutter(payload);
  for (const Mutation& m : write.mutations()) {
    if (m.kind() > static_cast<uint32_t>(kvarts::Mutation::Kind::kDeleteRange)) {
      return BadNumber("kind of mutation", m.kind());
    }
    const auto kSet = static_cast<uint32_t>(Metadata::Change::kSet);
    if (m.expiry() > kSet) return BadNumber("change of an expiry", m.expiry());
    if (m.content_type() > kSet) return BadNumber("change of a content type", m.content_type());
    kvarts::Mutation mutation;
    mutation.kind = static_cast<kvarts::Mutation::Kind>(m.kind());
    mutation.metadata.expiry = static_cast<Metadata::Change>(m.expiry());
    mutation.metadata.expires_at_ms = m.expires_at_ms();
    mutation.metadata.content_type = static_cast<Metadata::Change>(m.content_type());
    if (!cutter.Cut(m.key_size(), &mutation.key) || !cutter.Cut(m.value_size(), &mutation.value) ||
        !cutter.Cut(m.content_type_size(), &mutation.metadata.type)) {
      return WrongSizes();
    }
    batch->Add(mutation);
  }
  for (const Precondition& p : write.preconditions()) {
    if (p.kind() > static_cast<uint32_t>(kvarts::Precondition::Kind::kUnchanged)) {
      return BadNumber("kind of precondition", p.kind());
    }
    kvarts::Precondition precondition;
    precondition.kind = static_cast<kvarts::Precondition::Kind>(p.kind());
    precondition.stamp = {p.stamp_high(), p.stamp_low()};
    if (!cutter.Cut(p.key_size(), &precondition.key)) return WrongSizes();
    batch->Add(precondition);
  }
  return cutter.empty() ? absl::OkStatus() : WrongSizes();
}

absl::Status MetadataReader::Check(size_t items) const {
  const auto absent_or_all = [items](int size) {
    return size == 0 || static_cast<size_t>(size) == items;
  };
  if (!absent_or_all(response_.expires_at_ms_size()) ||
      !absent_or_all(response_.content_type_of_size())) {
    return absl::InternalError("the server's answer has metadata for other keys");
  }
  for (const uint32_t type : response_.content_type_of()) {
    if (type > static_cast<uint32_t>(response_.content_types_size())) {
      return absl::InternalError("the server's answer names a content type it does not have");
    }
  }
  return absl::OkStatus();
}

absl::string_view MetadataReader::content_type(size_t i) const {
  if (response_.content_type_of_size() == 0) return {};
  const uint32_t type = response_.content_type_of(static_cast<int>(i));
  if (type == 0) return {};
  const std::string& bytes = response_.content_types(static_cast<int>(type) - 1);
  return {bytes.data(), bytes.size()};
}

void MetadataWriter::AddSlow(size_t i, int64_t expires_at_ms, absl::string_view content_type) {
  if (expires_at_ms != 0) {
    auto* const list = response_->mutable_expires_at_ms();
    if (list->empty()) list->Resize(static_cast<int>(items_), 0);
    list->Set(static_cast<int>(i), expires_at_ms);
  }
  if (content_type.empty()) return;
  auto* const list = response_->mutable_content_type_of();
  if (list->empty()) list->Resize(static_cast<int>(items_), 0);
  const int known = response_->content_types_size();
  int place = known - 1;
  const int last = std::max(0, known - kTypesSearched);
  while (place >= last && content_type != absl::string_view(response_->content_types(place))) {
    --place;
  }
  if (place < last) {
    place = known;
    response_->add_content_types(std::string(content_type));
  }
  list->Set(static_cast<int>(i), static_cast<uint32_t>(place) + 1);
}

}  // namespace native
}  // namespace kvarts
