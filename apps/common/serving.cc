#include "apps/common/serving.h"

#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "apps/common/address.h"
#include "apps/common/app.h"
#include "base/status_macros.h"
#include "net/http/http.h"
#include "net/metrics_history.h"
#include "net/native/session.h"
#include "net/resp/session.h"
#include "net/server.h"
#include "net/store_runner.h"
#include "net/tcp/tcp.h"
#include "net/tls/tls.h"

namespace kvarts {
namespace {

// The native protocol, of which the listener may be there before the store:
// connections that come so early are closed, and clients try again.
class NativeService {
 public:
  void SetReady(SessionFactory sessions) {
    sessions_ = std::move(sessions);
    ready_.store(true, std::memory_order_release);
  }
  std::unique_ptr<Session> NewSession(std::unique_ptr<Stream> stream) {
    return ready_.load(std::memory_order_acquire) ? sessions_(std::move(stream)) : nullptr;
  }

 private:
  std::atomic<bool> ready_{false};
  SessionFactory sessions_;  // constant once ready_
};

// They wait for other nodes, not for a core: also for those that do not answer.
constexpr int kAskingThreads = 16;

std::vector<std::string> TlsFlags(const ServingOptions& options) {
  if (options.tls_cert.empty()) return {};
  return absl::StrSplit(options.tls, ',');
}

absl::Status Check(const ServingOptions& options) {
  if (options.listen.empty() && options.resp.empty() && options.http.empty()) {
    return UsageError("--listen, --resp and --http are all empty: nothing would be served");
  }
  for (const auto& [flag, address] :
       {std::make_pair("--listen=", options.listen), std::make_pair("--resp=", options.resp),
        std::make_pair("--http=", options.http)}) {
    if (const absl::Status host = CheckHost(address); !host.ok()) {
      return UsageError(absl::StrCat(flag, address, ": ", host.message()));
    }
    if (address.empty() || IsLocal(ToAddress(address))) continue;
    if (!options.password.empty() || options.insecure_listen) continue;
    return UsageError(absl::StrCat(flag, address,
                                   " may be reached from other machines, which takes a "
                                   "--password_file or --insecure_listen"));
  }
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return UsageError("--tls_cert and --tls_key are given together");
  }
  if (!options.tls_client_ca.empty() && options.tls_cert.empty()) {
    return UsageError("--tls_client_ca is for --tls_cert");
  }
  for (const absl::string_view name : absl::StrSplit(options.tls, ',')) {
    if (name != "listen" && name != "resp" && name != "http") {
      return UsageError(
          absl::StrCat("--tls=", options.tls, ": expected a list of listen, resp and http"));
    }
  }
  return absl::OkStatus();
}

// What a client is told that speaks a protocol without TLS where there is TLS.
std::string PlainRefusal(absl::string_view flag) {
  if (flag == "resp") {
    return "-ERR this port is served with TLS: rediss://HOST:PORT, redis-cli --tls\r\n";
  }
  if (flag == "listen") {
    return NativeRefusal(
        absl::FailedPreconditionError("this port is served with TLS: tls://HOST:PORT"));
  }
  constexpr absl::string_view kBody =
      "{\"error\":\"a plain HTTP request came to a port that is served with TLS: https://\","
      "\"code\":\"bad_request\"}\n";
  return absl::StrCat(
      "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ",
      kBody.size(), "\r\nConnection: close\r\n\r\n", kBody);
}

class ServingImpl final : public Serving {
 public:
  ServingImpl(const ServingOptions& options, std::unique_ptr<EventLoops> loops)
      : options_(options),
        tls_flags_(TlsFlags(options)),
        tcp_(NewTcpTransport()),
        loops_(std::move(loops)),
        history_(&metrics_),
        http_(HttpSettings()),
        resp_(RespSettings()) {
    history_.Start(loops_->loop(0));
  }

  ~ServingImpl() override {
    ServingImpl::Close().IgnoreError();
    all_nodes_.reset();
    store_.reset();
    loops_->Stop();
  }

  absl::Status LoadCertificate() {
    if (options_.tls_cert.empty()) return absl::OkStatus();
    TlsOptions tls;
    tls.certificate_file = options_.tls_cert;
    tls.key_file = options_.tls_key;
    tls.client_ca_file = options_.tls_client_ca;
    KVARTS_ASSIGN_OR_RETURN(tls_, NewTlsTransport(tcp_.get(), tls));
    return absl::OkStatus();
  }

  std::string ReloadCertificate() override {
    if (tls_ == nullptr) return "";
    const absl::Status reloaded = tls_->Reload();
    if (!reloaded.ok()) {
      return absl::StrCat("the certificate stays as it was: ", reloaded.message());
    }
    return absl::StrCat(options_.tls_cert, ": what connects from now on is shown it as it is now");
  }

  absl::Status Listen() override { return options_.reuse_port ? absl::OkStatus() : ListenToAll(); }

  absl::Status Serve(std::unique_ptr<Store> store) override {
    store_ = std::move(store);
    KVARTS_ASSIGN_OR_RETURN(runner_, StoreRunner::New(store_.get(), options_.threads));
    native_.SetReady(NewNativeSessions(runner_.get(), NativeSettings()));
    resp_.SetReady(runner_.get());
    http_.SetReady(runner_.get());
    return options_.reuse_port ? ListenToAll() : absl::OkStatus();
  }

  absl::Status ServeAllNodes(std::unique_ptr<Store> all) override {
    all_nodes_ = std::move(all);
    KVARTS_ASSIGN_OR_RETURN(all_nodes_runner_, StoreRunner::New(all_nodes_.get(), kAskingThreads));
    resp_.SetAllNodes(all_nodes_runner_.get());
    return absl::OkStatus();
  }

  ServingAddresses addresses() const override {
    const auto of = [](const std::unique_ptr<Server>& server) {
      return server == nullptr ? std::string() : server->address();
    };
    return {of(native_server_), of(resp_server_), of(http_server_)};
  }

  std::string ReadyLine() const override {
    const ServingAddresses at = addresses();
    std::string line = "ready";
    // The one that has a scheme says the right one; scripts take the others for HOST:PORT.
    if (!at.native.empty()) {
      const absl::string_view host = absl::StripPrefix(at.native, "tcp://");
      const bool tls = HasTls("listen") && host.size() < at.native.size();
      absl::StrAppend(&line, " native=", tls ? absl::StrCat("tls://", host) : at.native);
    }
    if (!at.resp.empty()) absl::StrAppend(&line, " resp=", WithoutTcp(at.resp));
    if (!at.http.empty()) absl::StrAppend(&line, " http=", WithoutTcp(at.http));
    return line;
  }

  // Without threads of its own: a process that may start none any more saves its data too.
  void Drain(absl::Duration grace) override {
    const absl::Time deadline = absl::Now() + grace;
    const std::initializer_list<Server*> servers = {native_server_.get(), resp_server_.get(),
                                                    http_server_.get()};
    for (Server* const server : servers) {
      if (server != nullptr) server->BeginDrain();
    }
    for (Server* const server : servers) {
      if (server != nullptr) server->Drain(std::max(deadline - absl::Now(), absl::ZeroDuration()));
    }
  }

  absl::Status Close() override {
    ServingImpl::Abandon();
    all_nodes_runner_.reset();
    runner_.reset();
    if (all_nodes_ != nullptr) all_nodes_->Close().IgnoreError();  // it holds nothing of its own
    return store_ == nullptr ? absl::OkStatus() : store_->Close();
  }

  void Abandon() override {
    native_server_.reset();
    resp_server_.reset();
    http_server_.reset();
  }

  Transport* transport() override { return tcp_.get(); }

 private:
  absl::Status ListenToAll() {
    KVARTS_RETURN_IF_ERROR(Start("http", options_.http, "http", &http_, &http_server_));
    KVARTS_RETURN_IF_ERROR(Start("listen", options_.listen, "native", &native_, &native_server_));
    return Start("resp", options_.resp, "resp", &resp_, &resp_server_);
  }

  bool HasTls(absl::string_view flag) const {
    return std::find(tls_flags_.begin(), tls_flags_.end(), flag) != tls_flags_.end();
  }

  template <typename Service>
  absl::Status Start(absl::string_view flag, absl::string_view address, absl::string_view protocol,
                     Service* service, std::unique_ptr<Server>* server) {
    if (address.empty()) return absl::OkStatus();
    std::vector<EventLoop*> all;
    for (int i = 0; i < loops_->size(); ++i) all.push_back(loops_->loop(i));
    ServerOptions options;
    options.max_clients = options_.max_clients;
    // Clients of Redis look for these words; those of the others find the connection closed.
    if (flag == "resp") options.refusal = "-ERR max number of clients reached\r\n";
    options.listen.reuse_port = options_.reuse_port;
    options.metrics = metrics_.protocol(protocol);
    options.listen.plain_refusal = PlainRefusal(flag);
    absl::StatusOr<std::unique_ptr<Server>> started =
        Server::Start(HasTls(flag) ? tls_.get() : tcp_.get(), all, ToAddress(address), options,
                      [service](std::unique_ptr<Stream> stream) {
                        return service->NewSession(std::move(stream));
                      });
    if (started.ok()) {
      *server = *std::move(started);
      return absl::OkStatus();
    }
    const std::string message =
        absl::StrCat("--", flag, "=", address, ": ", started.status().message());
    if (absl::IsInvalidArgument(started.status())) return UsageError(message);
    return absl::Status(started.status().code(), message);
  }

  void SetIdle(absl::Duration* idle_timeout) const {
    if (options_.idle_timeout > absl::ZeroDuration()) *idle_timeout = options_.idle_timeout;
  }
  HttpOptions HttpSettings() {
    HttpOptions settings;
    settings.cluster = options_.cluster;
    settings.served = options_.served;
    settings.password = options_.password;
    settings.metrics = &metrics_;
    settings.history = &history_;
    SetIdle(&settings.idle_timeout);
    return settings;
  }
  RespOptions RespSettings() {
    RespOptions settings;
    settings.cluster = options_.cluster;
    settings.metrics = metrics_.protocol("resp");
    settings.password = options_.password;
    settings.allow_flush = options_.allow_flush;
    settings.script_timeout = options_.script_timeout;
    SetIdle(&settings.idle_timeout);
    return settings;
  }
  NativeServerOptions NativeSettings() {
    NativeServerOptions settings;
    settings.cluster = options_.cluster;
    settings.metrics = metrics_.protocol("native");
    settings.all_metrics = &metrics_;
    settings.password = options_.password;
    SetIdle(&settings.idle_timeout);
    return settings;
  }

  const ServingOptions options_;
  const std::vector<std::string> tls_flags_;
  Metrics metrics_;
  const std::unique_ptr<Transport> tcp_;
  std::unique_ptr<TlsTransport> tls_;  // null without a certificate
  const std::unique_ptr<EventLoops> loops_;
  MetricsHistory history_;
  HttpService http_;
  RespService resp_;
  NativeService native_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<StoreRunner> runner_;
  std::unique_ptr<Store> all_nodes_;  // null, mostly
  std::unique_ptr<StoreRunner> all_nodes_runner_;
  std::unique_ptr<Server> http_server_;
  std::unique_ptr<Server> resp_server_;
  std::unique_ptr<Server> native_server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Serving>> Serving::New(const ServingOptions& options) {
  KVARTS_RETURN_IF_ERROR(Check(options));
  absl::StatusOr<std::unique_ptr<EventLoops>> loops = EventLoops::New(options.threads);
  if (!loops.ok()) {
    return absl::Status(loops.status().code(), absl::StrCat("--threads=", options.threads, ": ",
                                                            loops.status().message()));
  }
  auto serving = std::make_unique<ServingImpl>(options, *std::move(loops));
  KVARTS_RETURN_IF_ERROR(serving->LoadCertificate());
  return serving;
}

}  // namespace kvarts
