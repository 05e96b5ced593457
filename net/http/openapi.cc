#include "net/http/openapi.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "net/http/message.h"

namespace kvarts {
namespace {

constexpr char kDescription[] =
    "Keys and values are any bytes. In JSON they are strings where they are UTF-8, else objects "
    "that hold them in base64. Errors are JSON with one message. Every GET has its HEAD.";

// What the schemas of the table refer to.
constexpr char kSchemas[] = R"json({
"Error":{"type":"object","required":["error"],"properties":{"error":{"type":"string"}}},
"Bytes":{"description":"Bytes: a string where they are UTF-8, else base64.","oneOf":[
 {"type":"string"},
 {"type":"object","required":["base64"],"additionalProperties":false,
  "properties":{"base64":{"type":"string","contentEncoding":"base64"}}}]},
"BatchKeys":{"type":"object","required":["keys"],"additionalProperties":false,"properties":{
 "keys":{"type":"array","maxItems":10000,"items":{"$ref":"#/components/schemas/Bytes"}}},
 "examples":[{"keys":["a key",{"base64":"/w=="}]}]},
"BatchResults":{"type":"object","required":["results"],"properties":{
 "results":{"type":"array","items":{"type":"object","required":["key"],"properties":{
  "key":{"$ref":"#/components/schemas/Bytes"},
  "found":{"type":"boolean","description":"Absent where there is an error."},
  "value":{"$ref":"#/components/schemas/Bytes"},
  "content_type":{"type":"string"},
  "error":{"type":"string","description":"This key's alone."}}}}}},
"ScanPage":{"type":"object","required":["entries","cursor"],"properties":{
 "entries":{"type":"array","items":{"type":"object","required":["key"],"properties":{
  "key":{"$ref":"#/components/schemas/Bytes"},
  "value":{"$ref":"#/components/schemas/Bytes"},
  "content_type":{"type":"string"}}}},
 "cursor":{"type":["string","null"]},
 "error":{"type":"string"}}},
"StoreStats":{"type":"object","properties":{
 "entries":{"type":"integer"},
 "entries_exact":{"type":"boolean"},
 "memory_bytes":{"type":"integer"},
 "disk_bytes":{"type":"integer"},
 "details":{"$ref":"#/components/schemas/Pairs"},
 "capabilities":{"type":"object","additionalProperties":{"type":"string"}}}},
"Pairs":{"type":"array","items":{"type":"object","required":["name","value"],"properties":{
 "name":{"type":"string"},"value":{"type":"string"}}}},
"Counts":{"type":"object","properties":{
 "requests":{"type":"integer"},"errors":{"type":"integer"},
 "hits":{"type":"integer"},"misses":{"type":"integer"},
 "bytes_in":{"type":"integer"},"bytes_out":{"type":"integer"}}},
"Status":{"type":"object","properties":{
 "version":{"type":"string"},
 "time_ms":{"type":"integer"},
 "uptime_seconds":{"type":"integer"},
 "ready":{"type":"boolean"},
 "served":{"type":"string"},
 "limits":{"$ref":"#/components/schemas/Pairs"},
 "process":{"type":"object","additionalProperties":{"type":"number"}},
 "store":{"$ref":"#/components/schemas/StoreStats"},
 "protocols":{"type":"array","items":{"allOf":[{"$ref":"#/components/schemas/Counts"},
  {"type":"object","properties":{
   "name":{"type":"string"},"address":{"type":"string"},
   "connections":{"type":"integer"},"max_connections":{"type":"integer"},
   "accepted":{"type":"integer"},"refused":{"type":"integer"},
   "latency_ns":{"type":"object","additionalProperties":{"type":"integer"}}}}]}},
 "history":{"type":"array","items":{"type":"object","properties":{
  "time_ms":{"type":"integer"},"seconds":{"type":"number"},
  "protocols":{"type":"object",
   "additionalProperties":{"$ref":"#/components/schemas/Counts"}}}}}}}
})json";

const char* ToText(HttpParameter::In in) {
  switch (in) {
    case HttpParameter::In::kPath:
      return "path";
    case HttpParameter::In::kQuery:
      return "query";
    case HttpParameter::In::kHeader:
      return "header";
  }
  return "";
}

// {"media/type":{"schema":...}}
std::string Content(const char* type, const char* schema) {
  return absl::StrCat("{", JsonQuote(type), ":{\"schema\":", schema, "}}");
}

void AppendParameters(const HttpRoute& route, std::string* out) {
  if (route.parameters.empty()) return;
  out->append(",\n\"parameters\":[");
  for (const HttpParameter& p : route.parameters) {
    absl::StrAppend(out, &p == route.parameters.data() ? "" : ",",
                    "\n {\"name\":", JsonQuote(p.name), ",\"in\":\"", ToText(p.in),
                    p.in == HttpParameter::In::kPath ? "\",\"required\":true" : "\"",
                    ",\"schema\":", p.schema, ",\"description\":", JsonQuote(p.description), "}");
  }
  out->append("]");
}

void AppendAnswer(absl::string_view status, const HttpAnswer& answer, std::string* out) {
  absl::StrAppend(out, "\n ", JsonQuote(status),
                  ":{\"description\":", JsonQuote(answer.description));
  if (answer.content_type != nullptr) {
    absl::StrAppend(out, ",\"content\":", Content(answer.content_type, answer.schema));
  }
  out->append("}");
}

void AppendOperation(const HttpRoute& route, bool head, std::string* out) {
  const std::string method = head ? "head" : absl::AsciiStrToLower(route.method);
  const std::string id = head ? absl::StrCat("head", route.id) : route.id;
  absl::StrAppend(out, JsonQuote(method), ":{\"operationId\":", JsonQuote(id), ",\"tags\":[",
                  JsonQuote(route.tag), "],\n\"summary\":",
                  JsonQuote(head ? absl::StrCat(route.summary, " (fields only)") : route.summary));
  if (route.description[0] != '\0' && !head) {
    absl::StrAppend(out, ",\"description\":", JsonQuote(route.description));
  }
  // Of the document's "security" only: an empty list is none at all.
  if (route.open) out->append(",\"security\":[]");
  AppendParameters(route, out);
  if (route.body.content_type != nullptr) {
    absl::StrAppend(out, ",\n\"requestBody\":{\"required\":true,\"description\":",
                    JsonQuote(route.body.description),
                    ",\"content\":", Content(route.body.content_type, route.body.schema), "}");
  }
  out->append(",\n\"responses\":{");
  for (const HttpAnswer& answer : route.answers) {
    const HttpAnswer bare = {answer.status, answer.description};
    AppendAnswer(absl::StrCat(answer.status), head ? bare : answer, out);
    out->append(",");
  }
  out->append("\n \"default\":{\"$ref\":\"#/components/responses/Error\"}}}");
}

}  // namespace

std::string OpenApiDocument(absl::Span<const HttpRoute> routes) {
  std::string out = absl::StrCat(
      "{\"openapi\":\"3.1.0\",\n\"info\":{\"title\":\"kvarts\",\"version\":", JsonQuote(kVersion),
      ",\"license\":{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"},\"description\":",
      JsonQuote(kDescription),
      "},\n\"servers\":[{\"url\":\"/\"}],\n\"security\":[{},{\"password\""
      ":[]},{\"token\":[]}],\n\"paths\":{");
  // A path's methods stand together.
  std::vector<absl::string_view> done;
  for (const HttpRoute& first : routes) {
    bool known = false;
    for (const absl::string_view path : done) known = known || path == first.path;
    if (known) continue;
    absl::StrAppend(&out, done.empty() ? "\n" : ",\n\n", JsonQuote(first.path), ":{");
    done.push_back(first.path);
    bool begun = false;
    for (const HttpRoute& route : routes) {
      if (absl::string_view(route.path) != first.path) continue;
      if (begun) out.append(",\n");
      begun = true;
      AppendOperation(route, /*head=*/false, &out);
      // Every GET has its HEAD; it is named where it is of use.
      if (absl::string_view(route.method) != "GET" || !route.batches) continue;
      out.append(",\n");
      AppendOperation(route, /*head=*/true, &out);
    }
    out.append("}");
  }
  absl::StrAppend(
      &out,
      "\n},\n\"components\":{\n\"securitySchemes\":{"
      "\"password\":{\"type\":\"http\",\"scheme\":\"basic\",\"description\":"
      "\"Any user; the server's password, where it has one.\"},"
      "\"token\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":"
      "\"The server's password, where it has one.\"}},\n"
      "\"responses\":{\"Error\":{\"description\":\"What went wrong: 400 for a bad request, 401 "
      "without the password, 408, 413, 414, 417 and 431 for limits and time-outs, 501 for what "
      "the store cannot do, 503 when it fails or is not ready, 504 after its deadline, 507 "
      "without room.\",\"content\":",
      Content("application/json", R"({"$ref":"#/components/schemas/Error"})"),
      "}},\n\"schemas\":", kSchemas, "}}\n");
  return out;
}

}  // namespace kvarts
