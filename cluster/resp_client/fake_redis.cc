#include "cluster/resp_client/fake_redis.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/tcp/tcp.h"
#include "net/waiting.h"

namespace kvarts {
namespace {

std::string Bulk(absl::string_view text) {
  return absl::StrCat("$", text.size(), "\r\n", text, "\r\n");
}

}  // namespace

FakeRedis::FakeRedis(int nodes, int owners)
    : transport_(NewTcpTransport()), loops_(EventLoops::New(1).value()) {
  std::vector<Node> made(static_cast<size_t>(nodes));
  for (int i = 0; i < nodes; ++i) {
    Node& node = made[static_cast<size_t>(i)];
    node.id = std::string(40, static_cast<char>('a' + i));
    node.run_id = absl::StrCat("run", i);
    node.listener = *transport_->Listen(
        {loops_->loop(0)}, "tcp://127.0.0.1:0", {},
        [this, i](std::unique_ptr<Stream> stream) { Accept(i, std::move(stream)); });
    node.host_port = std::string(absl::StripPrefix(node.listener->address(), "tcp://"));
    for (size_t slot = 0; slot < kSlots; ++slot) {
      node.owner[slot] = static_cast<int16_t>(slot * static_cast<size_t>(owners) / kSlots);
    }
  }
  MutexLock lock(&mu_);
  nodes_ = std::move(made);
}

FakeRedis::~FakeRedis() {
  RunOnLoop(loops_->loop(0), [this] {
    MutexLock lock(&mu_);
    for (Node& node : nodes_) node.listener.reset();
    connections_.clear();
  });
  loops_->Stop();
}

std::string FakeRedis::HostPort(int node) {
  MutexLock lock(&mu_);
  return nodes_[static_cast<size_t>(node)].host_port;
}

std::string FakeRedis::Id(int node) {
  MutexLock lock(&mu_);
  return nodes_[static_cast<size_t>(node)].id;
}

void FakeRedis::SetIntercept(Intercept intercept) {
  MutexLock lock(&mu_);
  intercept_ = std::make_shared<const Intercept>(std::move(intercept));
}

void FakeRedis::Put(absl::string_view key, absl::string_view value) {
  const auto owner = static_cast<size_t>(OwnerOf(key));
  MutexLock lock(&mu_);
  nodes_[owner].data[std::string(key)] = std::string(value);
}

std::optional<std::string> FakeRedis::Find(absl::string_view key) {
  MutexLock lock(&mu_);
  for (const Node& node : nodes_) {
    const auto found = node.data.find(std::string(key));
    if (found != node.data.end()) return found->second;
  }
  return std::nullopt;
}

int FakeRedis::OwnerOf(absl::string_view key) {
  MutexLock lock(&mu_);
  const uint16_t slot = KeySlot(key);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].owner[slot] == static_cast<int>(i)) return static_cast<int>(i);
  }
  return -1;
}

std::string FakeRedis::KeyAt(int node, int number) {
  for (int i = 0;; ++i) {
    std::string key = absl::StrCat("key", i);
    if (OwnerOf(key) == node && number-- == 0) return key;
  }
}

int FakeRedis::Count(int node, absl::string_view name) {
  MutexLock lock(&mu_);
  return nodes_[static_cast<size_t>(node)].counts[std::string(name)];
}

void FakeRedis::BeginMove(uint16_t slot, int to) {
  MutexLock lock(&mu_);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].owner[slot] != static_cast<int>(i)) continue;
    nodes_[i].migrating[slot] = to;
    nodes_[static_cast<size_t>(to)].importing[slot] = static_cast<int>(i);
    return;
  }
}

void FakeRedis::MoveKey(absl::string_view key) {
  MutexLock lock(&mu_);
  const uint16_t slot = KeySlot(key);
  for (Node& node : nodes_) {
    const auto to = node.migrating.find(slot);
    if (to == node.migrating.end()) continue;
    auto entry = node.data.extract(std::string(key));
    if (!entry.empty()) nodes_[static_cast<size_t>(to->second)].data.insert(std::move(entry));
  }
}

void FakeRedis::EndMove(uint16_t slot) {
  int to = -1;
  std::set<int> all;
  {
    MutexLock lock(&mu_);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      all.insert(static_cast<int>(i));
      const auto found = nodes_[i].migrating.find(slot);
      if (found != nodes_[i].migrating.end()) to = found->second;
    }
  }
  Move({slot, slot}, to, all);
}

void FakeRedis::Move(SlotRange slots, int to, const std::set<int>& told) {
  MutexLock lock(&mu_);
  Node& target = nodes_[static_cast<size_t>(to)];
  for (size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    if (&node != &target) {
      for (auto it = node.data.begin(); it != node.data.end();) {
        const uint16_t slot = KeySlot(it->first);
        const auto entry = it++;
        if (slots.first <= slot && slot <= slots.last) {
          target.data.insert(node.data.extract(entry));
        }
      }
    }
    for (int slot = slots.first; slot <= slots.last; ++slot) {
      const auto s = static_cast<uint16_t>(slot);
      if (told.count(static_cast<int>(i)) > 0) node.owner[s] = static_cast<int16_t>(to);
      node.migrating.erase(s);
      node.importing.erase(s);
    }
  }
}

void FakeRedis::TakeDown(uint16_t slot) {
  MutexLock lock(&mu_);
  for (Node& node : nodes_) node.owner[slot] = -1;
}

void FakeRedis::Stop(int node) {
  RunOnLoop(loops_->loop(0), [this, node] {
    MutexLock lock(&mu_);
    nodes_[static_cast<size_t>(node)].listener.reset();
    for (const auto& c : connections_) {
      if (c->node == node) c->stream.reset();
    }
  });
}

void FakeRedis::Promote(int node, int to) {
  MutexLock lock(&mu_);
  nodes_[static_cast<size_t>(to)].data = nodes_[static_cast<size_t>(node)].data;
  for (Node& other : nodes_) {
    std::replace(other.owner.begin(), other.owner.end(), static_cast<int16_t>(node),
                 static_cast<int16_t>(to));
  }
  // The dead one serves nothing, whatever it knew.
  nodes_[static_cast<size_t>(node)].data.clear();
}

void FakeRedis::Readdress(int node, int to) {
  Promote(node, to);
  MutexLock lock(&mu_);
  std::swap(nodes_[static_cast<size_t>(node)].id, nodes_[static_cast<size_t>(to)].id);
}

void FakeRedis::BeginAnew(int node) {
  MutexLock lock(&mu_);
  nodes_[static_cast<size_t>(node)].run_id += "'";
  nodes_[static_cast<size_t>(node)].scans.clear();
}

void FakeRedis::Accept(int node, std::unique_ptr<Stream> stream) {
  connections_.push_back(std::make_unique<Connection>());
  connections_.back()->node = node;
  connections_.back()->stream = std::move(stream);
  ReadOn(connections_.back().get());
}

void FakeRedis::ReadOn(Connection* c) {
  c->stream->Read(c->parser.Space(), absl::InfiniteDuration(), [this, c](absl::StatusOr<size_t> n) {
    if (!n.ok() || *n == 0) return c->stream.reset();
    c->parser.Filled(*n);
    c->writing.clear();
    while (!c->is_over && c->parser.Next() == resp::RequestParser::Result::kRequest) {
      std::vector<std::string> command;
      for (const absl::string_view arg : c->parser.args()) command.emplace_back(arg);
      std::string reply = Answer(c, command);
      c->is_over = reply.empty();
      c->writing += reply;
    }
    if (c->writing.empty()) return c->is_over ? c->stream.reset() : ReadOn(c);
    c->stream->Write({c->writing}, absl::InfiniteDuration(),
                     [this, c](absl::Status) { c->is_over ? c->stream.reset() : ReadOn(c); });
  });
}

std::string FakeRedis::Answer(Connection* c, const std::vector<std::string>& command) {
  const std::string name = absl::AsciiStrToUpper(command[0]);
  std::shared_ptr<const Intercept> intercept;
  {
    MutexLock lock(&mu_);
    ++nodes_[static_cast<size_t>(c->node)].counts[name];
    intercept = intercept_;
  }
  if (intercept != nullptr) {
    std::optional<std::string> reply = (*intercept)(c->node, command);
    if (reply.has_value()) return *std::move(reply);
  }
  MutexLock lock(&mu_);
  Node& node = nodes_[static_cast<size_t>(c->node)];
  if (name == "ASKING") {
    c->asking = true;
    return "+OK\r\n";
  }
  const bool asking = std::exchange(c->asking, false);
  if (name == "PING") return "+PONG\r\n";
  if (name == "INFO") return Bulk(absl::StrCat("# Server\r\nrun_id:", node.run_id, "\r\n"));
  if (name == "DBSIZE") return absl::StrCat(":", node.data.size(), "\r\n");
  if (name == "SCAN") return Scan(node, command[1]);
  if (name == "CLUSTER" && command[1] == "SLOTS") return Slots(node);
  if (name == "CLUSTER") return Bulk(NodesText(node, c->node));
  return Keyed(node, c->node, asking, command);
}

std::string FakeRedis::Keyed(Node& node, int me, bool asking,
                             const std::vector<std::string>& command) {
  const std::string& key = command[1];
  const uint16_t slot = KeySlot(key);
  const int owner = node.owner[slot];
  const auto at = [&](int other) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return nodes_[static_cast<size_t>(other)].host_port;
  };
  if (owner < 0) return "-CLUSTERDOWN Hash slot not served\r\n";
  const auto to = node.migrating.find(slot);
  if (owner == me && to != node.migrating.end() && node.data.count(key) == 0) {
    return absl::StrCat("-ASK ", slot, " ", at(to->second), "\r\n");
  }
  if (owner != me && !(asking && node.importing.count(slot) > 0)) {
    return absl::StrCat("-MOVED ", slot, " ", at(owner), "\r\n");
  }
  const auto found = node.data.find(key);
  const bool there = found != node.data.end();
  if (command[0] == "TYPE") return there ? "+string\r\n" : "+none\r\n";
  if (command[0] == "MGET") {
    if (command.size() > 2) return "-CROSSSLOT one key a command is expected\r\n";
    return absl::StrCat("*1\r\n", there ? Bulk(found->second) : "$-1\r\n");
  }
  if (command[0] == "SET") {
    node.data[key] = command[2];
    return "+OK\r\n";
  }
  if (command[0] == "DEL") return absl::StrCat(":", node.data.erase(key), "\r\n");
  return absl::StrCat("-ERR unknown command '", command[0], "'\r\n");
}

std::string FakeRedis::Scan(Node& node, const std::string& cursor) {
  auto it = node.data.begin();
  if (cursor != "0") {
    const auto scan = node.scans.find(std::stoull(cursor));
    if (scan == node.scans.end()) return "-ERR invalid cursor\r\n";
    it = node.data.upper_bound(scan->second);
  }
  std::string keys;
  std::string last;
  size_t n = 0;
  for (; n < 3 && it != node.data.end(); ++n, ++it) {
    last = it->first;
    keys += Bulk(last);
  }
  uint64_t next = 0;
  if (it != node.data.end()) {
    next = next_cursor_++;
    node.scans[next] = last;
  }
  return absl::StrCat("*2\r\n", Bulk(absl::StrCat(next)), "*", n, "\r\n", keys);
}

std::string FakeRedis::Slots(const Node& node) {
  std::string runs;
  int n = 0;
  for (size_t slot = 0; slot < kSlots;) {
    const int owner = node.owner[slot];
    size_t next = slot + 1;
    while (next < kSlots && node.owner[next] == owner) ++next;
    if (owner >= 0) {
      const Node& at = nodes_[static_cast<size_t>(owner)];
      const std::vector<std::string> parts = absl::StrSplit(at.host_port, ':');
      absl::StrAppend(&runs, "*3\r\n:", slot, "\r\n:", next - 1, "\r\n*4\r\n", Bulk(parts[0]), ":",
                      parts[1], "\r\n", Bulk(at.id), "*0\r\n");
      ++n;
    }
    slot = next;
  }
  return absl::StrCat("*", n, "\r\n", runs);
}

std::string FakeRedis::NodesText(const Node& node, int me) {
  std::string text;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& other = nodes_[i];
    const bool is_me = static_cast<int>(i) == me;
    absl::StrAppend(&text, other.id, " ", other.host_port, "@1,name ",
                    is_me ? "myself,master" : "master", " - 0 0 1 connected");
    for (size_t slot = 0; slot < kSlots;) {
      size_t next = slot + 1;
      while (next < kSlots && node.owner[next] == node.owner[slot]) ++next;
      if (node.owner[slot] == static_cast<int>(i)) absl::StrAppend(&text, " ", slot, "-", next - 1);
      slot = next;
    }
    if (is_me) {
      const auto id = [this](int to) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return nodes_[static_cast<size_t>(to)].id;
      };
      for (const auto& [slot, to] : node.migrating) {
        absl::StrAppend(&text, " [", slot, "->-", id(to), "]");
      }
      for (const auto& [slot, from] : node.importing) {
        absl::StrAppend(&text, " [", slot, "-<-", id(from), "]");
      }
    }
    text += "\n";
  }
  return text;
}

}  // namespace kvarts
