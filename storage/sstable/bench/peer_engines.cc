#include "storage/sstable/bench/bench_engine.h"

namespace kvarts {

std::vector<BenchEngineKind> BenchEngines() {
  return {{"kvarts", OpenSstableBenchEngine},
          {"rocksdb", OpenRocksdbBenchEngine},
          {"leveldb", OpenLeveldbBenchEngine}};
}

}  // namespace kvarts
