#include "net/resp/clients.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace kvarts {
namespace resp {

Client::Client(Clients* clients, uint64_t id, ClientAddresses addresses, absl::Time now)
    : clients_(clients),
      id_(id),
      addresses_(std::move(addresses)),
      since_(now),
      last_ms_(absl::ToUnixMillis(now)) {}

Client::~Client() { clients_->Remove(id_); }

std::string Client::name() const {
  MutexLock lock(&mu_);
  return name_;
}

void Client::SetName(absl::string_view name) {
  MutexLock lock(&mu_);
  name_ = std::string(name);
}

void Client::SetLibraryName(absl::string_view name) {
  MutexLock lock(&mu_);
  library_name_ = std::string(name);
}

void Client::SetLibraryVersion(absl::string_view version) {
  MutexLock lock(&mu_);
  library_version_ = std::string(version);
}

absl::string_view Client::address() const { return absl::StripPrefix(addresses_.peer, "tcp://"); }
absl::string_view Client::local_address() const {
  return absl::StripPrefix(addresses_.local, "tcp://");
}

void Client::SetQuery(const ClientQuery& query) {
  const auto order = std::memory_order_relaxed;
  query_.queued.store(query.queued, order);
  query_.queued_bytes.store(query.queued_bytes, order);
  query_.bytes.store(query.bytes, order);
  query_.free_bytes.store(query.free_bytes, order);
  query_.capacity.store(query.capacity, order);
  query_.argument_bytes.store(query.argument_bytes, order);
}

void Client::SetOutput(const ClientOutput& output) {
  const auto order = std::memory_order_relaxed;
  output_.bytes.store(output.bytes, order);
  output_.lent_bytes.store(output.lent_bytes, order);
  output_.lent_pieces.store(output.lent_pieces, order);
  output_.capacity.store(output.capacity, order);
  output_.is_read.store(output.is_read, order);
  output_.is_writing.store(output.is_writing, order);
}

void Client::SetKill(std::function<void()> kill) {
  MutexLock lock(&mu_);
  kill_ = std::move(kill);
}

bool ClientFilter::Fits(const Client& client) const {
  return !none && client.id() != but && (!id || *id == client.id()) &&
         (ids == nullptr || ids->count(client.id()) > 0) &&
         (!address || *address == client.address()) &&
         (!local_address || *local_address == client.local_address());
}

size_t Client::memory_bytes() const {
  const auto order = std::memory_order_relaxed;
  return own_bytes_.load(order) + query_.capacity.load(order) + query_.queued_bytes.load(order) +
         query_.argument_bytes.load(order) + output_.capacity.load(order);
}

// In redis-server's order. Not there, because there is nothing of the kind: rbs and rbp, of a
// buffer for replies that each connection keeps.
std::string Client::Line(absl::Time now) const {
  const auto order = std::memory_order_relaxed;
  const absl::Time last = absl::FromUnixMillis(last_ms_.load(order));
  const int queued = query_.queued.load(order);
  const size_t lent = output_.lent_bytes.load(order);
  const size_t queued_bytes = query_.queued_bytes.load(order);
  const size_t argument_bytes = query_.argument_bytes.load(order);
  const bool is_unix = absl::StartsWith(addresses_.peer, "unix:");
  const char* const flags = queued >= 0 ? (is_unix ? "xU" : "x") : (is_unix ? "U" : "N");
  std::string line = absl::StrCat("id=", id_, " addr=", address());
  if (!addresses_.local.empty()) absl::StrAppend(&line, " laddr=", local_address());
  if (addresses_.descriptor >= 0) absl::StrAppend(&line, " fd=", addresses_.descriptor);
  MutexLock lock(&mu_);
  absl::StrAppend(&line, " name=", name_, " age=", absl::ToInt64Seconds(now - since_),
                  " idle=", absl::ToInt64Seconds(now - last), " flags=", flags,
                  " db=0 sub=0 psub=0 ssub=0 multi=", queued);
  absl::StrAppend(&line, " qbuf=", query_.bytes.load(order),
                  " qbuf-free=", query_.free_bytes.load(order), " argv-mem=", argument_bytes,
                  " multi-mem=", queued_bytes, " obl=", output_.bytes.load(order),
                  " oll=", output_.lent_pieces.load(order), " omem=", lent,
                  " tot-mem=", memory_bytes(), " events=", output_.is_read.load(order) ? "r" : "",
                  output_.is_writing.load(order) ? "w" : "");
  absl::StrAppend(&line, " cmd=", command_.load(order),
                  " user=default redir=-1 resp=", protocol_.load(order),
                  " lib-name=", library_name_, " lib-ver=", library_version_);
  return line;
}

std::shared_ptr<Client> Clients::Add(ClientAddresses addresses, absl::Time now) {
  MutexLock lock(&mu_);
  auto client = std::make_shared<Client>(this, ++last_id_, std::move(addresses), now);
  clients_[client->id()] = client.get();
  return client;
}

void Clients::Remove(uint64_t id) {
  MutexLock lock(&mu_);
  clients_.erase(id);
}

size_t Clients::size() const {
  MutexLock lock(&mu_);
  return clients_.size();
}

uint64_t Clients::accepted() const {
  MutexLock lock(&mu_);
  return last_id_;
}

size_t Clients::memory_bytes() const {
  MutexLock lock(&mu_);
  size_t bytes = 0;
  for (const auto& [id, client] : clients_) bytes += client->memory_bytes();
  return bytes;
}

std::string Clients::List(absl::Time now, const ClientFilter& filter, size_t most) const {
  std::string list;
  MutexLock lock(&mu_);
  for (const auto& [id, client] : clients_) {
    if (!filter.Fits(*client)) continue;
    if (most-- == 0) break;
    absl::StrAppend(&list, client->Line(now), "\n");
  }
  return list;
}

size_t Clients::Kill(const ClientFilter& filter, uint64_t own, bool* own_too) {
  size_t killed = 0;
  MutexLock lock(&mu_);
  for (const auto& [id, client] : clients_) {
    if (!filter.Fits(*client)) continue;
    ++killed;
    if (id == own) {
      *own_too = true;
      continue;
    }
    MutexLock its(&client->mu_);
    if (client->kill_ != nullptr) client->kill_();
  }
  return killed;
}

}  // namespace resp
}  // namespace kvarts
