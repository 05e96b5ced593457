#include "cluster/coordinator/apply_transaction.h"

#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace kvarts {

absl::Status CheckTransaction(const Coordinator::Transaction& transaction) {
  if (transaction.changes.size() > kMaxTransactionItems ||
      transaction.compares.size() > kMaxTransactionItems) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a transaction of ", transaction.changes.size(), " changes and ",
        transaction.compares.size(), " comparisons; at most ", kMaxTransactionItems, " of each"));
  }
  std::set<absl::string_view> names;
  for (const Coordinator::Transaction::Change& change : transaction.changes) {
    if (!names.insert(change.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("a transaction changes \"", absl::CHexEscape(change.name), "\" twice"));
    }
  }
  return absl::OkStatus();
}

bool Holds(const Coordinator::Transaction& transaction, const Coordinator::Contents& contents) {
  for (const Coordinator::Transaction::Compare& compare : transaction.compares) {
    const auto it = contents.values.find(compare.name);
    if ((it == contents.values.end() ? 0 : it->second.revision) != compare.revision) return false;
  }
  return true;
}

void Apply(const Coordinator::Transaction& transaction, Coordinator::Contents* contents) {
  ++contents->revision;
  for (const Coordinator::Transaction::Change& change : transaction.changes) {
    if (change.bytes.has_value()) {
      contents->values[change.name] = {*change.bytes, contents->revision};
    } else {
      contents->values.erase(change.name);
    }
  }
}

}  // namespace kvarts
