#include "groupby/aggregate/aggregate_model.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/types/optional.h"

namespace kvarts {
namespace {

// The fewest characters that are read as `v`.
std::string Shortest(double v) {
  std::string shortest(100, ' ');
  for (const char* const format : {"%.*f", "%.*e"}) {
    for (int digits = 0; digits < 40; ++digits) {
      char text[400];
      std::snprintf(text, sizeof text, format, digits, v);
      if (std::strtod(text, nullptr) != v) continue;
      if (std::string(text).size() < shortest.size()) shortest = text;
      break;
    }
  }
  return shortest;
}

std::string Result(absl::string_view aggregate, const std::vector<const ModelRow*>& rows) {
  const std::vector<std::string> parts = absl::StrSplit(aggregate, ':');
  const std::string& name = parts[0];
  if (name == "count") return absl::StrCat(rows.size());
  size_t column = 0;
  if (parts.size() > 1 && !(name == "top" && parts.size() == 2)) {
    column = static_cast<size_t>(std::atoi(parts[1].c_str())) - 1;
  }
  std::vector<std::string> fields;
  std::vector<int64_t> numbers;
  for (const ModelRow* const row : rows) {
    fields.push_back(row->fields[column]);
    int64_t n = 0;
    if (absl::SimpleAtoi(fields.back(), &n)) numbers.push_back(n);
  }
  if (name == "first") return fields.front();
  if (name == "last") return fields.back();
  if (name == "mintext") return *std::min_element(fields.begin(), fields.end());
  if (name == "maxtext") return *std::max_element(fields.begin(), fields.end());
  if (name == "distinct") {
    return absl::StrCat(std::set<std::string>(fields.begin(), fields.end()).size());
  }
  int64_t sum = 0;
  for (const int64_t n : numbers) sum += n;
  if (name == "sum") return absl::StrCat(sum);
  if (numbers.empty()) return "";
  if (name == "mean")
    return Shortest(static_cast<double>(sum) / static_cast<double>(numbers.size()));
  std::sort(numbers.rbegin(), numbers.rend());
  if (name == "min") return absl::StrCat(numbers.back());
  if (name == "max") return absl::StrCat(numbers.front());
  if (name == "top") {
    numbers.resize(std::min(numbers.size(), static_cast<size_t>(std::atoi(parts.back().c_str()))));
    return absl::StrJoin(numbers, ",");
  }
  std::fprintf(stderr, "no model of %s\n", name.c_str());
  std::abort();
}

}  // namespace

ModelResults ModelAggregate(absl::string_view aggregates, absl::Span<const ModelRow> rows) {
  std::map<std::string, std::vector<const ModelRow*>> groups;
  for (const ModelRow& row : rows) groups[row.key].push_back(&row);
  ModelResults results;
  for (const auto& [key, group] : groups) {
    for (const absl::string_view aggregate : absl::StrSplit(aggregates, ',')) {
      results[key].push_back(Result(aggregate, group));
    }
  }
  return results;
}

absl::Status AddModelRows(Aggregation* aggregation, absl::Span<const ModelRow> rows,
                          const uint64_t* sequence) {
  std::vector<absl::string_view> fields;
  for (const ModelRow& row : rows)
    fields.insert(fields.end(), row.fields.begin(), row.fields.end());
  std::vector<AggregateRow> views;
  size_t at = 0;
  for (const ModelRow& row : rows) {
    views.push_back({row.key, absl::MakeConstSpan(fields).subspan(at, row.fields.size())});
    at += row.fields.size();
  }
  return sequence == nullptr ? aggregation->Add(views) : aggregation->AddInOrder(*sequence, views);
}

absl::StatusOr<std::vector<std::pair<std::string, std::vector<std::string>>>> ReadAllGroups(
    AggregateGroups* groups) {
  std::vector<std::pair<std::string, std::vector<std::string>>> all;
  while (true) {
    absl::string_view key;
    absl::Span<const absl::string_view> results;
    const absl::StatusOr<bool> more = groups->Next(&key, &results);
    if (!more.ok()) return more.status();
    if (!*more) return all;
    all.emplace_back(std::string(key), std::vector<std::string>(results.begin(), results.end()));
  }
}

absl::StatusOr<std::vector<std::pair<std::string, std::vector<std::string>>>> DrainAllGroups(
    AggregateGroups* groups) {
  std::string text;
  const absl::Status drained = groups->Drain(
      [](absl::string_view key, absl::Span<const absl::string_view> results,
         Groups::Output* output) {
        std::string group = absl::StrCat(results.size(), " ", key.size(), " ", key);
        for (const absl::string_view result : results) {
          absl::StrAppend(&group, result.size(), " ", result);
        }
        return output->Append(group);
      },
      [&text](absl::string_view piece) {
        text.append(piece.data(), piece.size());
        return absl::OkStatus();
      });
  if (!drained.ok()) return drained;
  absl::string_view rest = text;
  const auto take_size = [&rest] {
    const size_t space = rest.find(' ');
    size_t size = 0;
    if (!absl::SimpleAtoi(rest.substr(0, space), &size)) std::abort();
    rest.remove_prefix(space + 1);
    return size;
  };
  const auto take = [&] {
    const size_t size = take_size();
    std::string taken(rest.substr(0, size));
    rest.remove_prefix(size);
    return taken;
  };
  std::vector<std::pair<std::string, std::vector<std::string>>> all;
  while (!rest.empty()) {
    const size_t results = take_size();
    std::string key = take();
    all.emplace_back(std::move(key), std::vector<std::string>());
    for (size_t i = 0; i < results; ++i) all.back().second.push_back(take());
  }
  return all;
}

std::vector<AggregateSpec> SpecsOf(absl::string_view aggregates, size_t columns) {
  return ParseAggregates(aggregates, ResolveAmong(columns)).value().aggregates;
}

}  // namespace kvarts
