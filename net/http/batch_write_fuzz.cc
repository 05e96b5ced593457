// Any body of a batch of writes: what is read encodes to the same again; over a small
// store the answer is whole, and says what the store holds afterwards.

#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "net/http/batch_write_request.h"
#include "net/http/handlers.h"
#include "net/http/json.h"
#include "net/http/message.h"
#include "storage/store.h"
#include "testing/model/manual_clock.h"
#include "testing/model/model_store.h"

namespace {

using kvarts::BatchWriteRequest;
using kvarts::Metadata;
using kvarts::Mutation;
using kvarts::Precondition;

using Entries = std::map<std::string, std::string>;

constexpr int64_t kNowMs = kvarts::ManualClock::kStartMs;

void Check(bool condition) {
  if (!condition) std::abort();
}

void AppendMetadata(const BatchWriteRequest::Change& change, std::string* out) {
  const Metadata& metadata = change.metadata;
  // A touch names what it takes away; a put takes away what it does not name.
  const bool names_null = change.kind == Mutation::Kind::kTouch;
  if (metadata.content_type == Metadata::Change::kSet) {
    out->append(",\"content_type\":");
    kvarts::AppendJsonBytes(change.content_type, out);
  } else if (names_null && metadata.content_type == Metadata::Change::kClear) {
    out->append(",\"content_type\":null");
  }
  if (metadata.expiry == Metadata::Change::kSet && metadata.expires_at_ms <= kvarts::kMaxTimeMs) {
    absl::StrAppend(out, ",\"expires_at_ms\":", metadata.expires_at_ms);
  } else if (metadata.expiry == Metadata::Change::kSet) {
    absl::StrAppend(out, ",\"ttl_ms\":", metadata.expires_at_ms - kNowMs);
  } else if (names_null && metadata.expiry == Metadata::Change::kClear) {
    out->append(",\"expires_at_ms\":null");
  }
}

std::string Encoded(const BatchWriteRequest& request) {
  std::string out = absl::StrCat("{\"atomic\":", request.atomic ? "true" : "false", ",\"if\":[");
  for (const BatchWriteRequest::Condition& condition : request.conditions) {
    if (&condition != request.conditions.data()) out.append(",");
    out.append(condition.kind == Precondition::Kind::kAbsent    ? "{\"absent\":"
               : condition.kind == Precondition::Kind::kPresent ? "{\"present\":"
                                                                : "{\"unchanged\":");
    kvarts::AppendJsonBytes(condition.key, &out);
    if (condition.kind == Precondition::Kind::kUnchanged) {
      out.append(",\"etag\":");
      kvarts::AppendJsonBytes(condition.etag, &out);
    }
    out.append("}");
  }
  out.append("],\"mutations\":[");
  for (const BatchWriteRequest::Change& change : request.mutations) {
    if (&change != request.mutations.data()) out.append(",");
    out.append(change.kind == Mutation::Kind::kPut      ? "{\"put\":"
               : change.kind == Mutation::Kind::kDelete ? "{\"delete\":"
                                                        : "{\"touch\":");
    kvarts::AppendJsonBytes(change.key, &out);
    if (change.kind == Mutation::Kind::kPut) {
      out.append(",\"value\":");
      kvarts::AppendJsonBytes(change.value, &out);
    }
    AppendMetadata(change, &out);
    out.append("}");
  }
  return out + "]}";
}

void CheckRequest(const BatchWriteRequest& request) {
  Check(request.atomic || request.conditions.empty());
  for (const BatchWriteRequest::Change& change : request.mutations) {
    const Metadata& metadata = change.metadata;
    Check(change.key.size() <= kvarts::kMaxKeyBytes);
    Check(change.content_type.size() <= kvarts::kMaxContentTypeBytes);
    Check(change.content_type.empty() == (metadata.content_type != Metadata::Change::kSet));
    Check((metadata.expires_at_ms > 0) == (metadata.expiry == Metadata::Change::kSet));
    Check(change.value.empty() || change.kind == Mutation::Kind::kPut);
  }
}

Entries All(kvarts::Store* store) {
  Entries entries;
  auto cursor = store->NewCursor({});
  Check(cursor.ok());
  kvarts::ScanPage page;
  do {
    Check((*cursor)->Next({}, &page).ok());
    for (const kvarts::ScanEntry& entry : page) {
      entries.emplace(std::string(entry.key),
                      absl::StrCat(entry.value, "|", entry.content_type, "|", entry.expires_at_ms));
    }
  } while (!page.empty());
  return entries;
}

void CheckAnswer(const BatchWriteRequest& request, const Entries& before, const Entries& after,
                 const kvarts::HttpResponse& response) {
  boost::system::error_code error;
  const boost::json::value body = boost::json::parse(response.body, error);
  Check(!error && body.is_object() && response.content_type == "application/json");
  if (response.status == 412) {
    const int64_t failed = body.as_object().at("failed").as_int64();
    Check(failed >= 0 && static_cast<size_t>(failed) < request.conditions.size());
    Check(before == after);
    return;
  }
  Check(response.status == 200);  // this store can do all
  const boost::json::array& results = body.as_object().at("results").as_array();
  Check(results.size() == request.mutations.size());
  // What one mutation finds is what those before it have left.
  Entries known = before;
  for (size_t i = 0; i < results.size(); ++i) {
    const BatchWriteRequest::Change& change = request.mutations[i];
    const bool existed = results[i].as_object().at("existed").as_bool();
    Check(existed == (known.count(change.key) > 0));
    const bool expired =
        change.metadata.expiry == Metadata::Change::kSet && change.metadata.expires_at_ms <= kNowMs;
    if (change.kind == Mutation::Kind::kDelete || (existed && expired)) known.erase(change.key);
    if (change.kind == Mutation::Kind::kPut && !expired) known[change.key];
  }
  Check(known.size() == after.size());
  for (const auto& [key, unused] : after) Check(known.count(key) > 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view json(reinterpret_cast<const char*>(data), size);
  const auto request = kvarts::ParseBatchWrite(json, kNowMs, 20);
  if (!request.ok()) {
    Check(request.status().code() == absl::StatusCode::kInvalidArgument);
    Check(!request.status().message().empty());
    return 0;
  }
  CheckRequest(*request);
  const std::string encoded = Encoded(*request);
  const auto again = kvarts::ParseBatchWrite(encoded, kNowMs, 20);
  Check(again.ok() && Encoded(*again) == encoded);

  const kvarts::ManualClock clock;
  kvarts::ModelStoreOptions options;
  options.clock = &clock;
  options.records = {{"a", "1"}, {"\xff", std::string("\x00\xfe", 2)}, {"", ""}};
  const std::unique_ptr<kvarts::Store> store = kvarts::NewModelStore(std::move(options));
  const Entries before = All(store.get());
  kvarts::HttpServerInfo info;
  info.clock = &clock;
  kvarts::HttpCall call;
  call.request.fields = {{"Content-Type", "application/json"}};
  call.request.body = std::string(json);
  kvarts::WriteMany({store.get(), &info}, &call);
  CheckAnswer(*request, before, All(store.get()), call.response);
  return 0;
}
