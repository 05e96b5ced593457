#include "testing/model/shrink.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace kvarts::model {
namespace {

// Not thread-safe.
class Shrinker {
 public:
  Shrinker(History history, absl::FunctionRef<bool(const History&)> fails, int max_runs)
      : best_(std::move(history)), fails_(fails), runs_left_(max_runs) {}

  History Run() {
    do {
      progress_ = false;
      ShrinkList([](History & h) -> auto& { return h.operations; });
      ShrinkList([](History & h) -> auto& { return h.records; });
      for (size_t i = 0; i < best_.operations.size(); ++i) {
        ShrinkList([i](History & h) -> auto& { return h.operations[i].mutations; });
        ShrinkList([i](History & h) -> auto& { return h.operations[i].preconditions; });
        if (best_.operations[i].kind == Operation::Kind::kGet) {
          ShrinkList([i](History & h) -> auto& { return h.operations[i].keys; });
        }
      }
      ShortenValues();
    } while (progress_ && runs_left_ > 0);
    return best_;
  }

 private:
  bool Try(const History& candidate) {
    if (runs_left_-- <= 0 || !fails_(candidate)) return false;
    best_ = candidate;
    progress_ = true;
    return true;
  }

  // Delta debugging (Zeller and Hildebrandt, 2002): leaves out ever smaller runs
  // of the list that `list_of` picks from a history.
  template <typename ListOf>
  void ShrinkList(ListOf list_of) {
    size_t chunk = list_of(best_).size();
    while (chunk > 0) {
      for (size_t begin = 0; begin < list_of(best_).size();) {
        History candidate = best_;
        auto& list = list_of(candidate);
        list.erase(list.begin() + begin, list.begin() + std::min(begin + chunk, list.size()));
        if (!Try(candidate)) begin += chunk;
      }
      chunk /= 2;
    }
  }

  void ShortenValues() {
    const auto shorten = [this](const std::function<std::string&(History&)>& value_of) {
      if (value_of(best_).size() <= 8) return;
      History candidate = best_;
      value_of(candidate).resize(1);
      Try(candidate);
    };
    for (size_t i = 0; i < best_.records.size(); ++i) {
      shorten([i](History& h) -> std::string& { return h.records[i].second; });
    }
    for (size_t i = 0; i < best_.operations.size(); ++i) {
      for (size_t j = 0; j < best_.operations[i].mutations.size(); ++j) {
        if (best_.operations[i].mutations[j].kind != Mutation::Kind::kPut) continue;
        shorten([i, j](History& h) -> std::string& { return h.operations[i].mutations[j].value; });
      }
    }
  }

  History best_;
  absl::FunctionRef<bool(const History&)> fails_;
  int runs_left_;
  bool progress_ = false;
};

}  // namespace

History Shrink(History history, absl::FunctionRef<bool(const History&)> fails, int max_runs) {
  return Shrinker(std::move(history), fails, max_runs).Run();
}

}  // namespace kvarts::model
