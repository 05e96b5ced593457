#include "net/http/openapi.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/version.h"
#include "net/http/message.h"

namespace kvarts {
namespace {

constexpr char kDescription[] =
    "Keys and values are any bytes. In JSON they are strings where they are UTF-8, else objects "
    "that hold them in base64. In a query + is a space and %2B a plus; in a path + is a plus. A "
    "header field that asks for what is not done here (Content-Range, Content-Encoding, another "
    "method, a condition where there is none) is refused. Errors are JSON with one message. Every "
    "GET has its HEAD.";

// What the schemas of the table refer to.
constexpr char kSchemas[] = R"json({
"Error":{"type":"object","required":["error","code"],"properties":{
 "error":{"type":"string","description":"For people."},
 "code":{"$ref":"#/components/schemas/Code"}}},
"Code":{"type":"string","description":"What programs tell errors apart by.",
 "examples":["no_such_key","no_such_path","bad_request","precondition_failed","read_only"]},
"Bytes":{"description":"Bytes: a string where they are UTF-8 and that is not the longer one, else base64.","oneOf":[
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
  "expires_at_ms":{"$ref":"#/components/schemas/Time"},
  "etag":{"$ref":"#/components/schemas/Etag"},
  "error":{"type":"string","description":"This key's alone."},
  "code":{"$ref":"#/components/schemas/Code"}}}}}},
"Time":{"type":"integer","minimum":1,"maximum":9007199254740991,"description":"Milliseconds."},
"Etag":{"type":"string","description":"As the ETag field has it, quotes included.",
 "examples":["\"8c1d5e0a3b7f2946\""]},
"Mutation":{"description":"One of put, delete and touch. null takes content type or expiry away.",
 "type":"object","additionalProperties":false,"properties":{
  "put":{"$ref":"#/components/schemas/Bytes"},
  "value":{"$ref":"#/components/schemas/Bytes"},
  "delete":{"$ref":"#/components/schemas/Bytes"},
  "touch":{"$ref":"#/components/schemas/Bytes"},
  "content_type":{"type":["string","null"],"minLength":1,"maxLength":255},
  "expires_at_ms":{"type":["integer","null"],"minimum":1,"maximum":9007199254740991},
  "ttl_ms":{"$ref":"#/components/schemas/Time"}},
 "oneOf":[{"required":["put","value"]},{"required":["delete"]},{"required":["touch"]}]},
"Condition":{"type":"object","additionalProperties":false,"properties":{
  "absent":{"$ref":"#/components/schemas/Bytes"},
  "present":{"$ref":"#/components/schemas/Bytes"},
  "unchanged":{"$ref":"#/components/schemas/Bytes"},
  "etag":{"$ref":"#/components/schemas/Etag"}},
 "oneOf":[{"required":["absent"]},{"required":["present"]},{"required":["unchanged","etag"]}]},
"BatchWrite":{"type":"object","required":["mutations"],"additionalProperties":false,"properties":{
 "mutations":{"type":"array","maxItems":10000,"items":{"$ref":"#/components/schemas/Mutation"}},
 "if":{"type":"array","maxItems":10000,"items":{"$ref":"#/components/schemas/Condition"},
  "description":"All of them must hold, else nothing is written. They make the batch atomic."},
 "atomic":{"type":"boolean","description":"Without conditions false unless given."}},
 "examples":[
  {"mutations":[{"put":"a key","value":"its value"},{"delete":{"base64":"/w=="}}]},
  {"mutations":[{"put":"session","value":"v","content_type":"text/plain","ttl_ms":60000},
    {"touch":"a key","expires_at_ms":null}],
   "if":[{"absent":"session"}],"atomic":true}]},
"BatchWriteResults":{"type":"object","required":["results"],"properties":{
 "results":{"type":"array","items":{"type":"object","required":["status"],"properties":{
  "status":{"type":"integer","description":"201 put, and was absent; 204 put, deleted or touched; 404 nothing to delete or touch; else of an error."},
  "existed":{"type":"boolean","description":"Absent where there is an error."},
  "etag":{"$ref":"#/components/schemas/Etag"},
  "expires_at_ms":{"$ref":"#/components/schemas/Time"},
  "error":{"type":"string","description":"This mutation's alone."},
  "code":{"$ref":"#/components/schemas/Code"}}}}},
 "examples":[{"results":[{"status":201,"existed":false,"etag":"\"8c1d5e0a3b7f2946\""},
  {"status":404,"existed":false}]}]},
"ConditionFailed":{"type":"object","required":["error","code","failed"],"properties":{
 "error":{"type":"string"},
 "code":{"$ref":"#/components/schemas/Code"},
 "failed":{"type":"integer","description":"The place in \"if\" of one that does not hold."}},
 "examples":[{"error":"if[0] does not hold: the key is there","code":"precondition_failed","failed":0}]},
"ScanPage":{"type":"object","required":["entries","cursor"],"properties":{
 "entries":{"type":"array","items":{"type":"object","required":["key"],"properties":{
  "key":{"$ref":"#/components/schemas/Bytes"},
  "value":{"$ref":"#/components/schemas/Bytes"},
  "content_type":{"type":"string"},
  "expires_at_ms":{"$ref":"#/components/schemas/Time"},
  "etag":{"$ref":"#/components/schemas/Etag"}}}},
 "cursor":{"type":["string","null"]},
 "error":{"type":"string"},
 "code":{"$ref":"#/components/schemas/Code"}}},
"Snapshot":{"type":"object","required":["snapshot","lease_ms"],"properties":{
 "snapshot":{"type":"string","description":"Its name."},
 "lease_ms":{"type":"integer","description":"Milliseconds."}}},
"StoreStats":{"type":"object","properties":{
 "entries":{"type":"integer"},
 "entries_exact":{"type":"boolean"},
 "memory_bytes":{"type":"integer"},
 "disk_bytes":{"type":"integer"},
 "saved_at_ms":{"type":"integer","description":"When all of it was saved last; 0: never. Only of stores that save themselves to a file."},
 "save_error":{"type":"string","description":"Why the last try to save it failed; empty where it did not."},
 "details":{"$ref":"#/components/schemas/Pairs"},
 "capabilities":{"type":"object","additionalProperties":{"type":"string"},
  "description":"How the store does a thing: native, emulated with its cost, absent; yes or no. atomic_multi_get: a batch of reads is one state of the store."}}},
"Pairs":{"type":"array","items":{"type":"object","required":["name","value"],"properties":{
 "name":{"type":"string"},"value":{"type":"string"}}}},
"Counts":{"type":"object","properties":{
 "requests":{"type":"integer"},"errors":{"type":"integer"},
 "hits":{"type":"integer"},"misses":{"type":"integer"},
 "bytes_in":{"type":"integer"},"bytes_out":{"type":"integer"}}},
"Cluster":{"type":"object","properties":{
 "id":{"type":"string","description":"40 hexadecimal digits."},
 "revision":{"type":"integer","description":"Grows with every change."},
 "myself":{"type":["string","null"],"description":"The id of the node that answers."},
 "nobodys_slots":{"type":"integer","description":"Slots that no node holds."},
 "lost_slots":{"type":"integer",
  "description":"Slots that were lost with a node and given out again empty."},
 "nodes":{"type":"array","items":{"type":"object","properties":{
  "id":{"type":"string"},"host":{"type":"string"},
  "native":{"type":"string","description":"HOST:PORT; empty: not served; so are the others."},
  "native_port":{"type":"integer","description":"0: not served; so are the others."},
  "native_tls":{"type":"boolean"},
  "resp":{"type":"string"},"resp_port":{"type":"integer"},"resp_tls":{"type":"boolean"},
  "http":{"type":"string","description":"The beginning of its URLs: http://HOST:PORT."},
  "http_port":{"type":"integer"},"internal_port":{"type":"integer"},
  "alive":{"type":"boolean"},"member":{"type":"boolean"},"leaving":{"type":"boolean"},
  "epoch":{"type":"integer","description":"Of its newest slot."},
  "slots":{"type":"integer","description":"How many it holds."},
  "runs":{"type":"array","description":"First and last slot of each run; not in /v1/status.",
   "items":{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":2}}}}}}},
"Status":{"type":"object","properties":{
 "version":{"type":"string"},
 "time_ms":{"type":"integer"},
 "uptime_seconds":{"type":"integer"},
 "ready":{"type":"boolean"},
 "served":{"type":"string"},
 "limits":{"$ref":"#/components/schemas/Pairs"},
 "process":{"type":"object","additionalProperties":{"type":"number"}},
 "store":{"$ref":"#/components/schemas/StoreStats"},
 "cluster":{"$ref":"#/components/schemas/Cluster"},
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

// {"media/type":{"schema":...}, ...}. A text is a string, whatever else the schema is of: a page
// that tries the interface out has a field for it, where it has a file chooser for bytes.
std::string Content(absl::string_view types, absl::string_view schema) {
  std::string out;
  for (const absl::string_view type : absl::StrSplit(types, ", ")) {
    absl::StrAppend(&out, out.empty() ? "{" : ",", JsonQuote(type),
                    ":{\"schema\":", type == "text/plain" ? R"({"type":"string"})" : schema, "}");
  }
  return out + "}";
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
      "without the password, 408, 413, 414 and 431 for limits and time-outs, 415 for a body that "
      "is not taken so, 417 for an expectation, 501 for what the store cannot do, 503 when it "
      "fails or is not ready, 504 after its deadline, 507 without room.\",\"content\":",
      Content("application/json", R"({"$ref":"#/components/schemas/Error"})"),
      "}},\n\"schemas\":", kSchemas, "}}\n");
  return out;
}

}  // namespace kvarts
