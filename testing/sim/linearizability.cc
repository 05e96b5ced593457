#include "testing/sim/linearizability.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "bench/random.h"

namespace kvarts {
namespace {

using Operations = std::vector<HistoryOperation>;

constexpr uint64_t kEnd = std::numeric_limits<uint64_t>::max();

// A key's value by a number: 0 where it is absent.
class Values {
 public:
  int Number(const absl::optional<std::string>& value) {
    if (!value.has_value()) return 0;
    const auto [it, added] = numbers_.emplace(*value, static_cast<int>(texts_.size()));
    if (added) texts_.push_back(*value);
    return it->second;
  }
  // The number that an increment starts from; false where the value is none.
  bool Parse(int value, int64_t* n) const {
    *n = 0;
    return value == 0 || absl::SimpleAtoi(texts_[value], n);
  }

 private:
  std::unordered_map<std::string, int> numbers_;
  std::vector<std::string> texts_ = {""};
};

// Not thread-safe. The search over one key's operations.
class Search {
 public:
  Search(const Operations& operations, uint64_t most_steps);
  LinearizabilityReport::Verdict Run();
  uint64_t steps() const { return steps_; }

 private:
  struct Step {
    HistoryOperation::Kind kind = HistoryOperation::kRead;
    bool sure = false;  // it was answered
    int value = 0, expected = 0, result = 0;
    bool has_result = false;
    absl::optional<bool> done;
    int64_t delta = 0;
    uint64_t called = 0, answered = kEnd;
    uint64_t hash = 0;
    bool taken = false;  // in the order that is tried
  };
  // A set of operations done, and what may follow.
  struct Node {
    int value;
    size_t first;                 // of the sure ones, the first that is not taken
    uint64_t hash;                // of the set
    Step* chosen = nullptr;       // what led here
    std::vector<Step*> readings;  // taken here, since they change nothing
    std::vector<Step*> tries;
    size_t next = 0;
  };

  // Whether the step may come now, and the value after it.
  bool Apply(const Step& step, int value, int* after);
  // Whether the step, as it was answered, leaves any value as it is. A put of the value that
  // is there does not: later, it may bring that value back.
  static bool ChangesNothing(const Step& step) {
    switch (step.kind) {
      case HistoryOperation::kRead:
        return true;
      case HistoryOperation::kCompareAndSet:
        return !step.done.value_or(false) || step.value == step.expected;
      case HistoryOperation::kDelete:
        return step.done.has_value() && !*step.done;
      case HistoryOperation::kPut:
      case HistoryOperation::kIncrement:
        return false;
    }
    return false;
  }
  // Takes what may be taken without a choice, and lists the choices. True where all that
  // was answered is in order.
  bool Enter(Node* node);
  void Leave(Node* node);
  void Take(Node* node, Step* step) {
    step->taken = true;
    node->hash ^= step->hash;
    if (step->sure) --left_;
  }

  const uint64_t most_steps_;
  uint64_t steps_ = 0;
  Values values_;
  std::vector<Step> sure_;   // in the order called
  std::vector<Step> maybe_;  // the same
  size_t left_ = 0;          // sure ones that are not taken
  std::unordered_set<uint64_t> seen_;
};

Search::Search(const Operations& operations, uint64_t most_steps) : most_steps_(most_steps) {
  BenchRandom random(1, 0);
  std::unordered_set<int> observed;
  bool tells_what_is_not = false;
  for (const HistoryOperation& operation : operations) {
    if (operation.outcome == HistoryOperation::kFailed) continue;
    Step step;
    step.kind = operation.kind;
    step.sure = operation.outcome == HistoryOperation::kOk;
    if (!step.sure && step.kind == HistoryOperation::kRead) continue;
    step.value = values_.Number(operation.value);
    step.expected = values_.Number(operation.expected);
    step.result = values_.Number(operation.result);
    step.has_result = operation.result.has_value();
    step.delta = operation.delta;
    step.called = operation.called;
    step.hash = random.Next();
    if (step.sure) {
      step.answered = operation.answered;
      step.done = operation.done;
    }
    if (step.kind == HistoryOperation::kCompareAndSet) observed.insert(step.expected);
    if (step.kind == HistoryOperation::kRead) observed.insert(step.result);
    tells_what_is_not = tells_what_is_not || step.kind == HistoryOperation::kIncrement ||
                        (step.sure && step.done.has_value());
    (step.sure ? sure_ : maybe_).push_back(step);
  }
  left_ = sure_.size();
  // A put that may have happened, and whose value nobody looked for, helps no order unless
  // somebody was told that there is a value, or another one.
  if (!tells_what_is_not) {
    maybe_.erase(std::remove_if(maybe_.begin(), maybe_.end(),
                                [&](const Step& step) {
                                  return step.kind == HistoryOperation::kPut &&
                                         observed.count(step.value) == 0;
                                }),
                 maybe_.end());
  }
}

bool Search::Apply(const Step& step, int value, int* after) {
  *after = value;
  switch (step.kind) {
    case HistoryOperation::kRead:
      return step.result == value;
    case HistoryOperation::kPut:
      *after = step.value;
      return true;
    case HistoryOperation::kDelete:
      *after = 0;
      return !step.done.has_value() || *step.done == (value != 0);
    case HistoryOperation::kCompareAndSet:
      if (value == step.expected) *after = step.value;
      return !step.sure || step.done.value_or(false) == (value == step.expected);
    case HistoryOperation::kIncrement: {
      int64_t n;
      if (!values_.Parse(value, &n)) return !step.sure;
      // As unsigned, which wraps around.
      n = static_cast<int64_t>(static_cast<uint64_t>(n) + static_cast<uint64_t>(step.delta));
      *after = values_.Number(absl::StrCat(n));
      return !step.has_result || step.result == *after;
    }
  }
  return false;
}

bool Search::Enter(Node* node) {
  ++steps_;
  uint64_t end;  // what is called later than this cannot come next
  bool taken = true;
  while (taken) {
    taken = false;
    node->tries.clear();
    end = kEnd;
    while (node->first < sure_.size() && sure_[node->first].taken) ++node->first;
    for (size_t i = node->first; i < sure_.size() && sure_[i].called < end; ++i) {
      if (!sure_[i].taken) end = std::min(end, sure_[i].answered);
    }
    for (size_t i = node->first; i < sure_.size() && sure_[i].called < end; ++i) {
      Step* const step = &sure_[i];
      int after;
      if (step->taken || !Apply(*step, node->value, &after)) continue;
      if (!ChangesNothing(*step)) {
        node->tries.push_back(step);
        continue;
      }
      // It may come now and changes nothing: each order that has it later stays one.
      Take(node, step);
      node->readings.push_back(step);
      taken = true;
    }
  }
  if (left_ == 0) return true;
  const uint64_t value_hash = static_cast<uint64_t>(node->value) * 0x9E3779B97F4A7C15u;
  if (!seen_.insert(node->hash ^ (value_hash ^ (value_hash >> 31))).second) {
    node->tries.clear();
    return false;
  }
  std::sort(node->tries.begin(), node->tries.end(),
            [](const Step* a, const Step* b) { return a->answered < b->answered; });
  // What nobody was told of comes last. Of those that are alike, the first one called.
  std::vector<std::tuple<HistoryOperation::Kind, int, int, int64_t>> kinds;
  for (Step& step : maybe_) {
    if (step.called > end) break;
    int after;
    if (step.taken || !Apply(step, node->value, &after) || after == node->value) continue;
    const auto kind = std::make_tuple(step.kind, step.value, step.expected, step.delta);
    if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) continue;
    kinds.push_back(kind);
    node->tries.push_back(&step);
  }
  return false;
}

void Search::Leave(Node* node) {
  for (Step* const step : node->readings) step->taken = false;
  left_ += node->readings.size();
  if (node->chosen == nullptr) return;
  node->chosen->taken = false;
  if (node->chosen->sure) ++left_;
}

LinearizabilityReport::Verdict Search::Run() {
  std::vector<Node> path(1);
  path.back().value = 0;
  path.back().first = 0;
  path.back().hash = 0;
  if (Enter(&path.back())) return LinearizabilityReport::kLinearizable;
  while (!path.empty()) {
    if (steps_ > most_steps_) return LinearizabilityReport::kUndecided;
    Node& node = path.back();
    if (node.next == node.tries.size()) {
      Leave(&node);
      path.pop_back();
      continue;
    }
    Step* const step = node.tries[node.next++];
    Node next{node.value, node.first, node.hash, step, {}, {}, 0};
    Apply(*step, node.value, &next.value);
    Take(&next, step);
    path.push_back(std::move(next));
    if (Enter(&path.back())) return LinearizabilityReport::kLinearizable;
  }
  return LinearizabilityReport::kNotLinearizable;
}

// The history as it stood after the answer `last`.
Operations Prefix(const Operations& operations, uint64_t last) {
  Operations prefix;
  for (const HistoryOperation& operation : operations) {
    if (operation.called > last) continue;
    prefix.push_back(operation);
    if (operation.answered <= last) continue;
    prefix.back().outcome = HistoryOperation::kUnderWay;
    prefix.back().result.reset();
    prefix.back().done.reset();
    prefix.back().answered = kEnd;
    prefix.back().answered_at = absl::InfiniteDuration();
  }
  return prefix;
}

// Whether another operation of the history was told of the value that this one wrote, or
// depends on it: without this one, that would be wrong for another reason.
bool IsObserved(const Operations& operations, const HistoryOperation& write) {
  if (write.kind == HistoryOperation::kIncrement) return true;
  const absl::optional<std::string> value =
      write.kind == HistoryOperation::kDelete ? absl::nullopt : write.value;
  for (const HistoryOperation& operation : operations) {
    if (&operation == &write || operation.outcome != HistoryOperation::kOk) continue;
    switch (operation.kind) {
      case HistoryOperation::kRead:
        if (operation.result == value) return true;
        break;
      case HistoryOperation::kCompareAndSet:
        if (operation.expected == value || !operation.done.value_or(false)) return true;
        break;
      case HistoryOperation::kIncrement:
        return true;
      case HistoryOperation::kDelete:
        if (operation.done.has_value()) return true;
        break;
      case HistoryOperation::kPut:
        break;
    }
  }
  return false;
}

// Fewer operations of a history that is not linearizable, which are not either.
Operations Shrink(Operations operations, uint64_t most_steps) {
  const auto fails = [&](const Operations& some) {
    return Search(some, most_steps).Run() == LinearizabilityReport::kNotLinearizable;
  };
  // A beginning of a linearizable history is one: so the first answer too many is found by
  // halves.
  std::vector<uint64_t> answers;
  for (const HistoryOperation& operation : operations) {
    if (operation.answered != kEnd) answers.push_back(operation.answered);
  }
  std::sort(answers.begin(), answers.end());
  const auto first = std::partition_point(answers.begin(), answers.end(), [&](uint64_t last) {
    return !fails(Prefix(operations, last));
  });
  if (first != answers.end()) operations = Prefix(operations, *first);
  for (bool shrunk = true; shrunk;) {
    shrunk = false;
    for (size_t i = operations.size(); i-- > 0;) {
      const HistoryOperation& operation = operations[i];
      if (operation.kind != HistoryOperation::kRead && IsObserved(operations, operation)) continue;
      Operations less = operations;
      less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
      if (!fails(less)) continue;
      operations = std::move(less);
      shrunk = true;
    }
  }
  return operations;
}

}  // namespace

LinearizabilityReport CheckLinearizability(absl::Span<const HistoryOperation> operations,
                                           uint64_t most_steps) {
  std::map<std::string, Operations> keys;
  for (const HistoryOperation& operation : operations) keys[operation.key].push_back(operation);
  LinearizabilityReport report;
  for (auto& [key, of_key] : keys) {
    std::sort(of_key.begin(), of_key.end(),
              [](const auto& a, const auto& b) { return a.called < b.called; });
    Search search(of_key, most_steps);
    const LinearizabilityReport::Verdict verdict = search.Run();
    report.steps += search.steps();
    if (verdict == LinearizabilityReport::kLinearizable) continue;
    // One key that is wrong counts more than others that are undecided.
    if (verdict == LinearizabilityReport::kUndecided) {
      if (report.verdict != LinearizabilityReport::kLinearizable) continue;
      report.verdict = verdict;
      report.key = key;
      report.text = absl::StrCat("undecided after ", search.steps(), " steps: key \"", key, "\"\n");
      continue;
    }
    report.verdict = verdict;
    report.key = key;
    report.culprits = Shrink(std::move(of_key), most_steps);
    report.text = absl::StrCat("not linearizable: key \"", key, "\". No order of these ",
                               report.culprits.size(), " of its operations gives their answers:\n");
    for (const HistoryOperation& operation : report.culprits) {
      absl::StrAppend(&report.text, "  ", ToString(operation), "\n");
    }
    return report;
  }
  return report;
}

}  // namespace kvarts
