#include "cluster/client/cluster_write.h"

#include <algorithm>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cluster/client/routes.h"
#include "net/remote/requests.h"

namespace kvarts {
namespace cluster_client {
namespace {

using remote::WriteCall;

// Whether it was not done for a reason that another try may mend.
bool IsUndone(const WriteCall& call, const absl::Status& status) {
  return IsElsewhere(status) || (!call.was_answered() && absl::IsUnavailable(status));
}

}  // namespace

void ClusterWrite::Start() {
  results_->results.assign(batch_.mutations().size(), WriteResult());
  results_->failed_precondition = -1;
  options_.atomic ? StartAtomic() : NextStep();
}

absl::Status ClusterWrite::SendWrite(size_t node, absl::Span<const uint32_t> places) {
  native::Client& client = route().nodes[node]->client();
  native::Request request = remote::NewRequest(&client, native::WRITE, left());
  std::vector<absl::string_view> payload;
  absl::Status status =
      remote::AddWrite(batch_, places, options_, nodes().server(), &request, &payload);
  if (!status.ok()) return status;
  // At another node the same mutations are another write.
  const native::SequenceWindow::Numbers numbers = client.writes().Begin();
  request.mutable_write()->set_sequence(numbers.sequence);
  request.mutable_write()->set_first_unacknowledged(numbers.first_unacknowledged);
  std::unique_ptr<WriteResults> own;
  std::vector<uint32_t> result_places(places.begin(), places.end());
  if (step_ == Step::kRange) {
    own = std::make_unique<WriteResults>();
    own->results.resize(1);
    result_places = {0};
  }
  auto call =
      std::make_shared<WriteCall>(std::move(result_places), own == nullptr ? results_ : own.get());
  call->SetRequest(request, payload);
  sent_.push_back({node, call, numbers.sequence, std::move(own)});
  Send(*route().nodes[node], call);
  return absl::OkStatus();
}

void ClusterWrite::Judge() {
  for (const Sent& sent : sent_) route().nodes[sent.node]->client().writes().End(sent.sequence);
  switch (step_) {
    case Step::kAtomic:
      return JudgeAtomic();
    case Step::kSingly:
      return JudgeSingly();
    case Step::kRange:
      return JudgeRange();
  }
}

void ClusterWrite::StartAtomic() {
  std::optional<uint16_t> slot;
  bool one = true;
  const auto add = [&](absl::string_view key) {
    const uint16_t next = KeySlot(key);
    one = one && slot.value_or(next) == next;
    slot = next;
  };
  for (const Mutation& m : batch_.mutations()) {
    one = one && m.kind != Mutation::Kind::kDeleteRange;
    add(m.key);
    places_.push_back(static_cast<uint32_t>(places_.size()));
  }
  for (const Precondition& p : batch_.preconditions()) add(p.key);
  if (!one) {
    return done_(FailWrite(batch_,
                           absl::InvalidArgumentError("an atomic batch over a cluster is of keys "
                                                      "of one slot, and of no range"),
                           results_));
  }
  if (!slot.has_value()) return done_(absl::OkStatus());
  step_ = Step::kAtomic;
  slot_ = *slot;
  TryAtomic();
}

void ClusterWrite::TryAtomic() {
  sent_.clear();
  Begin();
  if (const int owner = route().place[slot_]; owner >= 0) {
    results_->results.assign(places_.size(), WriteResult());
    results_->failed_precondition = -1;
    const absl::Status status = SendWrite(static_cast<size_t>(owner), places_);
    if (!status.ok()) return done_(FailWrite(batch_, status, results_));
  }
  Await();
}

void ClusterWrite::JudgeAtomic() {
  if (!sent_.empty()) {
    const WriteCall& call = *sent_[0].call;
    last_ = call.outcome();
    if (!IsUndone(call, last_)) return done_(last_);
  }
  const bool was_said = !sent_.empty() && IsElsewhere(last_);
  Again(was_said ? route().nodes[sent_[0].node].get() : nullptr, [this](bool in_time) {
    if (in_time) return TryAtomic();
    done_(FailWrite(batch_, GiveUp(last_), results_));
  });
}

void ClusterWrite::NextStep() {
  const auto mutations = batch_.mutations();
  places_.clear();
  while (next_ < mutations.size()) {
    const bool is_range = mutations[next_].kind == Mutation::Kind::kDeleteRange;
    absl::Status& status = results_->results[next_].status;
    status = CheckMutation(mutations[next_], nodes().capabilities());
    // What stands before a range and behind it may be of keys in it.
    if (status.ok() && is_range && !places_.empty()) break;
    const uint32_t place = next_++;
    if (!status.ok()) continue;
    places_.push_back(place);
    if (is_range) break;
  }
  if (places_.empty()) {
    for (const WriteResult& result : results_->results) {
      if (!result.status.ok()) return done_(result.status);
    }
    return done_(absl::OkStatus());
  }
  TakeNewestRoute();
  if (mutations[places_[0]].kind == Mutation::Kind::kDeleteRange) {
    step_ = Step::kRange;
    covered_.reset();
    last_ = absl::OkStatus();
    return TryRange();
  }
  step_ = Step::kSingly;
  TrySingly();
}

void ClusterWrite::TrySingly() {
  std::vector<std::vector<uint32_t>> of_node(route().nodes.size());
  std::vector<uint32_t> left;
  asks_again_ = false;
  for (const uint32_t place : places_) {
    const int owner = route().place[KeySlot(batch_.mutations()[place].key)];
    (owner < 0 ? left : of_node[static_cast<size_t>(owner)]).push_back(place);
    asks_again_ = asks_again_ || owner < 0;
  }
  sent_.clear();
  Begin();
  // One request a node at a time: a server promises no order among several, and what is behind a
  // mutation that is refused must not overtake it.
  for (size_t i = 0; i < of_node.size(); ++i) {
    const auto some = absl::MakeConstSpan(of_node[i]);
    if (some.empty()) continue;
    const auto first = some.first(remote::CountThatFit(batch_, some, nodes().server()));
    for (const uint32_t place : first) results_->results[place] = WriteResult();
    const absl::Status status = SendWrite(i, first);
    if (!status.ok()) {
      for (const uint32_t place : first) results_->results[place].status = status;
    }
    left.insert(left.end(), some.begin() + static_cast<std::ptrdiff_t>(first.size()), some.end());
  }
  places_ = std::move(left);
  Await();
}

void ClusterWrite::JudgeSingly() {
  const Node* at = nullptr;
  for (const Sent& sent : sent_) {
    std::vector<uint32_t> undone;
    for (const uint32_t place : sent.call->places()) {
      const absl::Status& status = results_->results[place].status;
      if (status.ok() || !IsUndone(*sent.call, status)) continue;
      undone.push_back(place);
      if (IsElsewhere(status)) at = route().nodes[sent.node].get();
    }
    asks_again_ = asks_again_ || !undone.empty();
    undone = MayBeSentAgain(batch_.mutations(), sent.call->places(), std::move(undone), results_);
    places_.insert(places_.end(), undone.begin(), undone.end());
  }
  if (places_.empty()) return NextStep();
  std::sort(places_.begin(), places_.end());
  const auto go_on = [this](bool in_time) {
    if (in_time) return TrySingly();
    for (const uint32_t place : places_) {
      absl::Status& status = results_->results[place].status;
      status = GiveUp(status);
    }
    NextStep();
  };
  if (asks_again_) return Again(at, go_on);
  go_on(left() > absl::ZeroDuration());
}

void ClusterWrite::TryRange() {
  std::vector<bool> wanted(route().nodes.size());
  for (size_t slot = 0; slot < kSlots; ++slot) {
    const int owner = route().place[slot];
    if (owner >= 0 && !covered_[slot]) wanted[static_cast<size_t>(owner)] = true;
  }
  sent_.clear();
  Begin();
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!wanted[i]) continue;
    const absl::Status status = SendWrite(i, places_);
    if (!status.ok()) return RangeIs(status);  // the same at the first one of any try
  }
  Await();
}

void ClusterWrite::JudgeRange() {
  absl::Status failed;
  std::vector<bool> done(route().nodes.size());
  for (const Sent& sent : sent_) {
    const absl::Status& status = sent.call->outcome();
    if (status.ok()) {
      done[sent.node] = true;
    } else if (IsUndone(*sent.call, status)) {
      last_ = status;
    } else {
      failed.Update(status);
    }
  }
  if (!failed.ok()) return RangeIs(failed);
  for (size_t slot = 0; slot < kSlots; ++slot) {
    const int owner = route().place[slot];
    if (owner >= 0 && done[static_cast<size_t>(owner)]) covered_.set(slot);
  }
  const auto try_where_it_moved = [this, before = route_ptr()] {
    for (size_t slot = 0; slot < kSlots; ++slot) {
      const ClusterNode* const then = before->map.OwnerOf(static_cast<uint16_t>(slot));
      const ClusterNode* const now = route().map.OwnerOf(static_cast<uint16_t>(slot));
      if (then == nullptr || now == nullptr || then->id != now->id) covered_.reset(slot);
    }
    TryRange();
  };
  if (covered_.all()) {
    return Refresh(nullptr, absl::ZeroDuration(), [this, try_where_it_moved](bool is_newer) {
      is_newer ? try_where_it_moved() : RangeIs(absl::OkStatus());
    });
  }
  Again(nullptr, [this, try_where_it_moved](bool in_time) {
    in_time ? try_where_it_moved() : RangeIs(GiveUp(last_));
  });
}

void ClusterWrite::RangeIs(const absl::Status& status) {
  results_->results[places_[0]].status = status;
  NextStep();
}

}  // namespace cluster_client
}  // namespace kvarts
