#include <utility>

#include "absl/strings/str_cat.h"
#include "base/size.h"
#include "net/http/http.h"
#include "net/http/request_parser.h"
#include "net/http/route.h"
#include "net/leases.h"

namespace kvarts {
namespace {

Metrics* Registry(const HttpOptions& options, Metrics* own) {
  return options.metrics != nullptr ? options.metrics : own;
}

std::unique_ptr<HttpServerInfo> MakeInfo(const HttpOptions& options, Metrics* metrics) {
  const HttpLimits limits;
  auto info = std::make_unique<HttpServerInfo>();
  info->served = options.served;
  info->metrics = metrics;
  info->history = options.history;
  info->cluster = options.cluster;
  info->clock = options.clock;
  info->started = options.clock->Now();
  const auto size = [](size_t bytes) { return FormatSize(bytes); };
  const auto time = [](absl::Duration duration) { return absl::FormatDuration(duration); };
  info->limits = {
      {"Key", size(kMaxKeyBytes)},
      {"Value", size(kMaxValueBytes)},
      {"HTTP request target", size(limits.target)},
      {"HTTP header fields", absl::StrCat(limits.field_count, ", ", size(limits.fields))},
      {"HTTP header time-out", time(options.header_timeout)},
      {"HTTP transfer time-out", absl::StrCat(time(options.transfer_timeout), " a MiB")},
      {"HTTP idle time-out", time(options.idle_timeout)},
      {"HTTP answers waiting, a connection", size(options.max_output)},
      {"HTTP buffers, all connections", size(options.max_buffered)},
      {"HTTP password", options.password.empty() ? "none" : "asked for"},
  };
  info->limits.insert(info->limits.end(), options.limits.begin(), options.limits.end());
  return info;
}

}  // namespace

HttpService::HttpService(HttpOptions options)
    : options_(std::move(options)),
      own_metrics_(options_.metrics == nullptr ? std::make_unique<Metrics>() : nullptr),
      metrics_(Registry(options_, own_metrics_.get())->protocol("http")),
      info_(MakeInfo(options_, Registry(options_, own_metrics_.get()))),
      leases_(std::make_unique<Leases>(options_.snapshot_lease, options_.max_snapshots,
                                       options_.clock)) {}

HttpService::~HttpService() = default;

}  // namespace kvarts
