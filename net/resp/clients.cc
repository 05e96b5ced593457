#include "net/resp/clients.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace kvarts {
namespace resp {

Client::Client(Clients* clients, uint64_t id, std::string peer, absl::Time now)
    : clients_(clients),
      id_(id),
      peer_(std::move(peer)),
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

absl::string_view Client::address() const { return absl::StripPrefix(peer_, "tcp://"); }

void Client::SetKill(std::function<void()> kill) {
  MutexLock lock(&mu_);
  kill_ = std::move(kill);
}

bool ClientFilter::Fits(const Client& client) const {
  return !none && client.id() != but && (!id || *id == client.id()) &&
         (ids == nullptr || ids->count(client.id()) > 0) &&
         (!address || *address == client.address());
}

std::string Client::Line(absl::Time now) const {
  const absl::Time last = absl::FromUnixMillis(last_ms_.load(std::memory_order_relaxed));
  MutexLock lock(&mu_);
  return absl::StrCat(
      "id=", id_, " addr=", address(), " name=", name_, " age=", absl::ToInt64Seconds(now - since_),
      " idle=", absl::ToInt64Seconds(now - last),
      " flags=N db=0 sub=0 psub=0 multi=-1 cmd=", command_.load(std::memory_order_relaxed),
      " user=default resp=", protocol_.load(std::memory_order_relaxed), " lib-name=", library_name_,
      " lib-ver=", library_version_);
}

std::shared_ptr<Client> Clients::Add(std::string peer, absl::Time now) {
  MutexLock lock(&mu_);
  auto client = std::make_shared<Client>(this, ++last_id_, std::move(peer), now);
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
