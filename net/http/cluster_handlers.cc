// What HTTP says of a cluster: where a key is, and the map.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/cluster_map.h"
#include "net/http/handlers.h"
#include "storage/slot_status.h"

namespace kvarts {
namespace {

// "/path?query" of a target in either form; RFC 9112, section 3.2.
absl::string_view PathOf(absl::string_view target) {
  const size_t scheme = target.find("://");
  if (target.empty() || target[0] == '/' || scheme == absl::string_view::npos) return target;
  const size_t path = target.find('/', scheme + 3);
  return path == absl::string_view::npos ? "/" : target.substr(path);
}

const char* ToJson(bool flag) { return flag ? "true" : "false"; }

void AppendNode(const ClusterMap& map, size_t place, bool with_runs, std::string* out) {
  const ClusterNode& node = map.nodes[place];
  const std::vector<SlotRange> runs = map.RunsOf(static_cast<int>(place));
  int slots = 0;
  for (const SlotRange& run : runs) slots += run.last - run.first + 1;
  absl::StrAppend(
      out, "{\"id\":", JsonQuote(node.id), ",\"host\":", JsonQuote(node.host),
      ",\"native\":", JsonQuote(NativeHostPort(node)), ",\"native_port\":", node.native_port,
      ",\"native_tls\":", ToJson(node.native_tls), ",\"resp\":", JsonQuote(RespHostPort(node)),
      ",\"resp_port\":", node.resp_port, ",\"resp_tls\":", ToJson(node.resp_tls),
      ",\"http\":", JsonQuote(HttpOrigin(node)), ",\"http_port\":", node.http_port,
      ",\"internal_port\":", node.internal_port);
  absl::StrAppend(out, ",\"alive\":", ToJson(node.is_alive), ",\"member\":", ToJson(node.is_member),
                  ",\"leaving\":", ToJson(node.is_leaving), ",\"epoch\":", node.epoch,
                  ",\"slots\":", slots);
  if (with_runs) {
    out->append(",\"runs\":[");
    for (const SlotRange& run : runs) {
      absl::StrAppend(out, &run == runs.data() ? "[" : ",[", run.first, ",", run.last, "]");
    }
    out->append("]");
  }
  out->append("}");
}

}  // namespace

std::string ClusterJson(const ClusterMap& map, bool with_runs) {
  const std::string myself =
      map.myself < 0 ? "null" : JsonQuote(map.nodes[static_cast<size_t>(map.myself)].id);
  int nobodys = 0;
  for (const int16_t owner : map.owner) nobodys += owner < 0 ? 1 : 0;
  std::string out = absl::StrCat(
      "{\"id\":", JsonQuote(map.cluster_id), ",\"revision\":", map.revision, ",\"myself\":", myself,
      ",\"nobodys_slots\":", nobodys, ",\"lost_slots\":", map.lost_slots, ",\"nodes\":[");
  for (size_t i = 0; i < map.nodes.size(); ++i) {
    if (i > 0) out.append(with_runs ? ",\n" : ",");
    AppendNode(map, i, with_runs, &out);
  }
  return out + "]}";
}

void DescribeCluster(const HttpContext& context, HttpCall* call) {
  if (context.info->cluster == nullptr) {
    return SetHttpError(404, "this server is no node of a cluster", &call->response, "no_cluster");
  }
  const std::shared_ptr<const ClusterMap> map = context.info->cluster->map();
  call->response.content_type = "application/json";
  call->response.AddField("Cache-Control", "no-store");
  call->response.body = ClusterJson(*map, /*with_runs=*/true) + "\n";
}

std::string StoreErrorText(const absl::Status& status) {
  const std::optional<MovedSlot> moved = MovedTo(status);
  if (!moved.has_value()) return std::string(status.message());
  if (!moved->http.empty()) {
    return absl::StrCat("slot ", moved->slot, " is held by the node at ", moved->http);
  }
  return absl::StrCat("slot ", moved->slot, " is held by the node ",
                      moved->resp.empty() ? "that /v1/cluster names" : moved->resp.c_str(),
                      ", which does not serve HTTP");
}

HttpResponse KeyError(const absl::Status& status, const HttpRequest& request) {
  const std::optional<MovedSlot> moved = MovedTo(status);
  if (!moved.has_value() || moved->http.empty()) return StoreError(status);
  HttpResponse response = HttpError(307, StoreErrorText(status));
  response.AddField("Location", absl::StrCat(moved->http, PathOf(request.target)));
  return response;
}

}  // namespace kvarts
