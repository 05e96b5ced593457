#include "bench/workload.h"

#include <algorithm>

namespace kvarts {

Workload::Workload(const KeySet* keys, const WorkloadOptions& options)
    : keys_(keys),
      options_(options),
      distribution_(options.distribution, options.theta, keys->size()),
      up_to_(options.mix),
      next_insert_(keys->size()),
      present_(keys->size()) {
  for (size_t i = 1; i < kOperations; ++i) up_to_[i] += up_to_[i - 1];
}

bool Workload::has_writes() const {
  return std::any_of(kAllOperations.begin(), kAllOperations.end(),
                     [this](Operation o) { return IsWrite(o) && has(o); });
}

RequestSource::RequestSource(Workload* workload, uint64_t stream)
    : workload_(workload),
      random_(workload->options().seed, stream),
      scratch_(new char[std::max<size_t>(workload->options().batch, 1) * kBenchUuidBytes]),
      value_(workload->has(Operation::kPut) || workload->has(Operation::kInsert)
                 ? workload->options().value_bytes
                 : 0,
             '\0') {}

Operation RequestSource::ChooseOperation() {
  const double draw = random_.Fraction();
  Operation last = Operation::kGet;  // for a draw beyond a sum that was rounded down
  for (const Operation operation : kAllOperations) {
    if (!workload_->has(operation)) continue;
    last = operation;
    if (draw < workload_->up_to_[static_cast<size_t>(operation)]) break;
  }
  return last;
}

void RequestSource::AddKey(bool may_miss) {
  char* const scratch = scratch_.get() + keys_.size() * kBenchUuidBytes;
  const double miss = workload_->options().miss;
  if (may_miss && miss > 0 && random_.Fraction() < miss) {
    records_.push_back(BenchRequest::kAbsentRecord);
    keys_.push_back(KeySet::Absent(random_.Next(), scratch));
    return;
  }
  records_.push_back(workload_->distribution_.Choose(
      workload_->present_.load(std::memory_order_relaxed), &random_));
  keys_.push_back(workload_->keys().Key(records_.back(), scratch));
}

const BenchRequest& RequestSource::Next() {
  keys_.clear();
  records_.clear();
  request_.operation = ChooseOperation();
  request_.value = {};
  switch (request_.operation) {
    case Operation::kGet:
      AddKey(true);
      break;
    case Operation::kMultiGet:
      for (size_t i = 0; i < workload_->options().batch; ++i) AddKey(true);
      break;
    case Operation::kInsert:
      records_.push_back(workload_->next_insert_.fetch_add(1, std::memory_order_relaxed));
      keys_.push_back(workload_->keys().Key(records_.back(), scratch_.get()));
      break;
    case Operation::kPut:
    case Operation::kDelete:
    case Operation::kScan:
      AddKey(false);
      break;
  }
  if (request_.operation == Operation::kPut || request_.operation == Operation::kInsert) {
    BenchValue(records_[0], value_.size(), &value_[0]);
    request_.value = value_;
  }
  request_.keys = keys_;
  request_.records = records_;
  return request_;
}

}  // namespace kvarts
