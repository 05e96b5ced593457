#include "testing/model/model_test.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "testing/model/generator.h"
#include "testing/model/history.h"
#include "testing/model/runner.h"
#include "testing/model/shrink.h"

namespace kvarts {
namespace {

using model::Difference;
using model::History;

std::optional<Difference> RunOnce(const History& history, const StoreFixtureFactory& new_fixture) {
  return model::RunHistory(history, *new_fixture());
}

std::string Explain(const History& history, const Difference& difference) {
  std::string at = "at the end, over all entries";
  if (difference.operation < history.operations.size()) {
    at = absl::StrCat("at '", model::ToText(history.operations[difference.operation]), "'");
  }
  return absl::StrCat("# ", at, ":\n# ", difference.what, "\n");
}

ModelTestReport Failure(const std::string& title, const History& history,
                        const StoreFixtureFactory& new_fixture) {
  const std::optional<Difference> difference = RunOnce(history, new_fixture);
  ModelTestReport report;
  report.ok = false;
  report.shrunk_operations = static_cast<int>(history.operations.size());
  report.text = absl::StrCat(
      title, "\nThe history, for KVARTS_MODEL_HISTORY=FILE:\n\n", model::ToText(history),
      difference.has_value() ? Explain(history, *difference)
                             : "# It does not fail every time: the store is not deterministic.\n");
  return report;
}

ModelTestReport Replay(const std::string& path, const StoreFixtureFactory& new_fixture) {
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto history = model::ParseHistory(text);
  ModelTestReport report;
  if (!in.is_open() || !history.ok()) {
    report.ok = false;
    report.text =
        absl::StrCat(path, ": ", in.is_open() ? history.status().ToString() : "cannot be read");
    return report;
  }
  std::printf("model test: the history in %s\n", path.c_str());
  if (!RunOnce(*history, new_fixture).has_value()) return report;
  return Failure(absl::StrCat("The store differs from the model on ", path, "."), *history,
                 new_fixture);
}

// Null where it is not set; else the number in it, or a failure.
std::optional<uint64_t> NumberFrom(const char* variable, ModelTestReport* report) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) {
    report->ok = false;
    report->text = absl::StrCat(variable, "='", text, "' is no number");
  }
  return number;
}

}  // namespace

ModelTestReport CheckAgainstModel(const StoreFixtureFactory& new_fixture,
                                  const ModelTestOptions& options) {
  if (const char* path = std::getenv("KVARTS_MODEL_HISTORY")) return Replay(path, new_fixture);
  ModelTestReport report;
  const std::optional<uint64_t> only = NumberFrom("KVARTS_MODEL_SEED", &report);
  const std::optional<uint64_t> runs = NumberFrom("KVARTS_MODEL_RUNS", &report);
  if (!report.ok) return report;
  const uint64_t first = only.value_or(options.first_seed);
  const uint64_t seeds = only.has_value() ? 1 : runs.value_or(options.seeds);

  const auto fixture = new_fixture();
  const auto store = fixture->Open({});
  if (!store.ok()) {
    report.ok = false;
    report.text = absl::StrCat("cannot open an empty store: ", store.status().ToString());
    return report;
  }
  const Capabilities has = (*store)->capabilities();
  std::printf("model test: seeds %llu to %llu, %d operations each\n",
              static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(first + seeds - 1), options.operations);
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const History history =
        model::RandomHistory(seed, options.operations, has, *fixture, fixture->clock() != nullptr);
    if (!RunOnce(history, new_fixture).has_value()) continue;
    const History shrunk = model::Shrink(history, [&](const History& candidate) {
      return RunOnce(candidate, new_fixture).has_value();
    });
    report = Failure(
        absl::StrCat("The store differs from the model. Run again with KVARTS_MODEL_SEED=", seed,
                     "; its ", options.operations, " operations are shrunk to ",
                     shrunk.operations.size(), "."),
        shrunk, new_fixture);
    report.seed = seed;
    return report;
  }
  return report;
}

}  // namespace kvarts
