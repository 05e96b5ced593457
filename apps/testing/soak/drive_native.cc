#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "apps/testing/soak/soak.h"
#include "apps/testing/soak/values.h"
#include "gtest/gtest.h"
#include "net/remote/remote_store.h"
#include "net/tcp/tcp.h"
#include "storage/store.h"

namespace kvarts::soak {
namespace {

std::unique_ptr<Store> Open(Transport* transport, const std::string& address, Soak* soak) {
  RemoteOptions options;
  options.timeout = absl::Seconds(kHangingSeconds);
  auto store = OpenRemoteStore(transport, address, options);
  if (!store.ok()) {
    ADD_FAILURE() << store.status();
    return nullptr;
  }
  soak->tally.Add("connections");
  return *std::move(store);
}

void CheckDone(absl::string_view what, const absl::Status& status, Soak* soak) {
  if (status.ok()) return soak->tally.Add(what);
  if (absl::IsResourceExhausted(status)) return soak->tally.Add("refused: no memory");
  ADD_FAILURE() << what << ": " << status;
}

void Put(Random* random, Soak* soak, Store* store) {
  // Some of them at once.
  std::vector<std::string> keys;
  std::vector<std::string> values;
  for (uint64_t n = (*random)() % 2 == 0 ? 1 : 1 + (*random)() % 16; n > 0; --n) {
    const uint64_t number = AnyKey(random, *soak);
    keys.push_back(KeyOf(number));
    values.push_back(ValueOf(keys.back(), soak->NextVersion(), SizeFor(number, random)));
  }
  WriteBatch batch;
  for (size_t i = 0; i < keys.size(); ++i) {
    Metadata metadata;
    if (i % 4 == 3) {
      metadata.expiry = Metadata::Change::kSet;
      metadata.expires_at_ms =
          absl::ToUnixMillis(absl::Now()) + static_cast<int64_t>((*random)() % 500);
    }
    batch.Put(keys[i], values[i], metadata);
  }
  if (keys.size() > 8) batch.Delete(keys[0]);
  CheckDone("native writes", store->Write(batch, {}, nullptr), soak);
}

void Get(Random* random, Soak* soak, Store* store) {
  std::vector<std::string> names;
  for (uint64_t n = (*random)() % 2 == 0 ? 1 : 1 + (*random)() % 16; n > 0; --n) {
    names.push_back(KeyOf(AnyKey(random, *soak)));
  }
  const std::vector<absl::string_view> keys(names.begin(), names.end());
  ReadResults results;
  store->MultiGet(keys, {}, &results);
  for (size_t i = 0; i < keys.size(); ++i) {
    CheckDone("native reads", results[i].status, soak);
    CheckValue("native read", keys[i], results[i].found, results[i].value);
  }
}

void WritePair(Random* random, Soak* soak, Store* store) {
  const uint64_t pair = (*random)() % kPairs;
  const std::string a = PairKey(pair, 'a');
  const std::string b = PairKey(pair, 'b');
  const uint32_t version = soak->NextVersion();
  const std::string of_a = ValueOf(a, version, kPartHead + (*random)() % 1000);
  const std::string of_b = ValueOf(b, version, kPartHead + (*random)() % 1000);
  WriteBatch batch;
  batch.Put(a, of_a);
  batch.Put(b, of_b);
  WriteOptions options;
  options.atomic = true;
  CheckDone("native atomic batches", store->Write(batch, options, nullptr), soak);
}

void ReadPair(Random* random, Soak* soak, Store* store) {
  const uint64_t pair = (*random)() % kPairs;
  const std::string names[] = {PairKey(pair, 'a'), PairKey(pair, 'b')};
  const absl::string_view keys[] = {names[0], names[1]};
  ReadResults results;
  store->MultiGet(keys, {}, &results);
  CheckDone("native reads", results[0].status, soak);
  const std::string values[] = {std::string(results[0].value), std::string(results[1].value)};
  CheckPair("native read", pair, results[0].found ? &values[0] : nullptr,
            results[1].found ? &values[1] : nullptr);
}

void Scan(Soak* soak, Store* store) {
  auto cursor = store->NewCursor(ScanOptions());
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  ScanPage page;
  for (int n = 0; n < 3; ++n) {
    CheckDone("native pages", (*cursor)->Next(PageLimits{100, 1 << 20}, &page), soak);
    for (const ScanEntry& entry : page) {
      if (entry.key[0] == 'c') continue;  // a counter
      CheckValue("native scan", entry.key, true, entry.value);
    }
  }
}

// Clients of other protocols do so too.
void AddOne(Soak* soak, Store* ledger) {
  const absl::Status status = ledger->Modify(
      kSharedCounter, {}, [](const ReadResult& current) -> absl::StatusOr<Modification> {
        uint64_t was = 0;
        if (!absl::SimpleAtoi(current.value, &was)) return absl::DataLossError("no number");
        return Modification::Put(absl::StrCat(was + 1));
      });
  CheckDone("native Modify of the ledger", status, soak);
  if (status.ok()) ++soak->added;
}

}  // namespace

void DriveNative(uint64_t seed, Soak* soak) {
  Random random(seed);
  const std::unique_ptr<Transport> transport = NewTcpTransport();
  while (soak->goes_on()) {
    const std::unique_ptr<Store> cache = Open(transport.get(), soak->cache.native, soak);
    const std::unique_ptr<Store> ledger = Open(transport.get(), soak->ledger.native, soak);
    if (cache == nullptr || ledger == nullptr) return;
    for (int n = 0; n < 50 && soak->goes_on(); ++n) {
      Put(&random, soak, cache.get());
      Get(&random, soak, cache.get());
      WritePair(&random, soak, cache.get());
      ReadPair(&random, soak, cache.get());
      AddOne(soak, ledger.get());
      if (n % 10 == 0) Scan(soak, cache.get());
    }
  }
}

}  // namespace kvarts::soak
