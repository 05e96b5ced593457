#ifndef KVARTS_NET_RESP_HANDLERS_H_
#define KVARTS_NET_RESP_HANDLERS_H_

#include "net/resp/commands.h"

// What the rows of the table call, by theme; a file each.
namespace kvarts {
namespace resp {

// commands_connection.cc
void Auth(CommandCall* call);
void Echo(CommandCall* call);
void Hello(CommandCall* call);
void Ping(CommandCall* call);
void Quit(CommandCall* call);
void Reset(CommandCall* call);
void Select(CommandCall* call);

// commands_clients.cc
void ClientGetName(CommandCall* call);
void ClientId(CommandCall* call);
void ClientInfo(CommandCall* call);
void ClientKill(CommandCall* call);
void ClientList(CommandCall* call);
void ClientReply(CommandCall* call);
void ClientSetInfo(CommandCall* call);
void ClientSetName(CommandCall* call);
void ClientSwitch(CommandCall* call);  // NO-EVICT, NO-TOUCH

// commands_strings.cc
bool AnswerGet(const ReadAnswer& answer);
bool AnswerGetRange(const ReadAnswer& answer);
bool AnswerMGet(const ReadAnswer& answer);
bool AnswerStrLen(const ReadAnswer& answer);
void MGetInParts(CommandCall* call);

// commands_string_writes.cc
void Append(CommandCall* call);
void Decr(CommandCall* call);
void DecrBy(CommandCall* call);
void GetDel(CommandCall* call);
void GetEx(CommandCall* call);
void GetSet(CommandCall* call);
void Incr(CommandCall* call);
void IncrBy(CommandCall* call);
void IncrByFloat(CommandCall* call);
void MSet(CommandCall* call);
void MSetNx(CommandCall* call);
void PSetEx(CommandCall* call);
void Set(CommandCall* call);
void SetEx(CommandCall* call);
void SetNx(CommandCall* call);
void SetRange(CommandCall* call);
extern const WriteGather kGatherSet;
extern const WriteGather kGatherMSet;

// commands_bits.cc
bool AnswerBitCount(const ReadAnswer& answer);
bool AnswerBitPos(const ReadAnswer& answer);
bool AnswerGetBit(const ReadAnswer& answer);
void BitOp(CommandCall* call);
void SetBit(CommandCall* call);

// commands_bitfield.cc
bool AnswerBitFieldRo(const ReadAnswer& answer);
void BitField(CommandCall* call);

// commands_keyspace.cc
bool AnswerExists(const ReadAnswer& answer);
bool AnswerExpireTime(const ReadAnswer& answer);
bool AnswerMemoryUsage(const ReadAnswer& answer);
bool AnswerObjectEncoding(const ReadAnswer& answer);
bool AnswerObjectFreq(const ReadAnswer& answer);
bool AnswerObjectIdleTime(const ReadAnswer& answer);
bool AnswerObjectRefCount(const ReadAnswer& answer);
bool AnswerPExpireTime(const ReadAnswer& answer);
bool AnswerPTtl(const ReadAnswer& answer);
bool AnswerTtl(const ReadAnswer& answer);
bool AnswerType(const ReadAnswer& answer);
void Keys(CommandCall* call);
void RandomKey(CommandCall* call);
void Scan(CommandCall* call);

// commands_keyspace_writes.cc
extern const WriteGather kGatherDel;
void Expire(CommandCall* call);
void ExpireAt(CommandCall* call);
void FlushAll(CommandCall* call);
void PExpire(CommandCall* call);
void PExpireAt(CommandCall* call);
void Persist(CommandCall* call);

// commands_dump.cc
bool AnswerDump(const ReadAnswer& answer);
void Restore(CommandCall* call);

// commands_copies.cc
void Copy(CommandCall* call);
void Move(CommandCall* call);
void Rename(CommandCall* call);
void RenameNx(CommandCall* call);

// commands_lcs.cc
void Lcs(CommandCall* call);

// commands_persistence.cc
void BgSave(CommandCall* call);
void LastSave(CommandCall* call);
void Save(CommandCall* call);
// When the store was saved last, or since when it is served.
int64_t LastSaveSeconds(const ServerState& state, const StoreStats& stats);

// commands_info.cc
void ConfigResetStat(CommandCall* call);
void Info(CommandCall* call);

// commands_server.cc
void AclWhoAmI(CommandCall* call);
void DbSize(CommandCall* call);
void Help(CommandCall* call);  // of the subcommand's container, from the table
void MemoryDoctor(CommandCall* call);
void MemoryStats(CommandCall* call);
void MinusOne(CommandCall* call);  // :-1
void Role(CommandCall* call);
void Time(CommandCall* call);
void Wait(CommandCall* call);
void Yes(CommandCall* call);                     // +OK
uint64_t ResidentBytes();                        // of the process; 0 where the system does not tell
const char* ModeText(const ServerState& state);  // as INFO and HELLO name it
// What the store tells of itself; kUnavailable where there is none yet.
absl::StatusOr<StoreStats> StatsOf(const CommandCall& call);
std::string StoreDetail(const StoreStats& stats, absl::string_view name,
                        absl::string_view fallback);
// The same of a number; 0 where it is none.
uint64_t StoreCount(const StoreStats& stats, absl::string_view name);
// As Redis has them: bytes, 0 where there is no limit; "noeviction", or which keys go.
std::string MaxMemory(const StoreStats& stats);
std::string MaxMemoryPolicy(const StoreStats& stats);

// commands_transaction.cc
void Discard(CommandCall* call);
void Exec(CommandCall* call);
void Multi(CommandCall* call);
void Unwatch(CommandCall* call);
void Watch(CommandCall* call);

// commands_scripts.cc
void Eval(CommandCall* call);
void EvalRo(CommandCall* call);
void EvalSha(CommandCall* call);
void EvalShaRo(CommandCall* call);
void NoFunctions(CommandCall* call);  // an error: of all that would need some
void ScriptExists(CommandCall* call);
void ScriptFlush(CommandCall* call);
void ScriptKill(CommandCall* call);
void ScriptLoad(CommandCall* call);

// commands_cluster.cc
void ClusterDisabled(CommandCall* call);  // of all subcommands, where there is no cluster
void ClusterBumpEpoch(CommandCall* call);
void ClusterCountFailureReports(CommandCall* call);
void ClusterCountKeysInSlot(CommandCall* call);
void ClusterGetKeysInSlot(CommandCall* call);
void ClusterInfo(CommandCall* call);
void ClusterKeySlot(CommandCall* call);
void ClusterLinks(CommandCall* call);
void ClusterMyId(CommandCall* call);
void ClusterNodes(CommandCall* call);
void ClusterPlacement(CommandCall* call);  // an error: of all that would change the slots
void ClusterReplicas(CommandCall* call);
void ClusterShards(CommandCall* call);
void ClusterSlots(CommandCall* call);

// commands_config.cc
void ConfigGet(CommandCall* call);
void ConfigRewrite(CommandCall* call);
void ConfigSet(CommandCall* call);

// commands_slow.cc
void LatencyDoctor(CommandCall* call);
void LatencyHistogram(CommandCall* call);
void LatencyHistory(CommandCall* call);
void LatencyLatest(CommandCall* call);
void LatencyReset(CommandCall* call);
void SlowLogGet(CommandCall* call);
void SlowLogLen(CommandCall* call);
void SlowLogReset(CommandCall* call);

// commands_table.cc
void CommandAll(CommandCall* call);
void CommandCount(CommandCall* call);
void CommandDocs(CommandCall* call);
void CommandGetKeys(CommandCall* call);
void CommandInfo(CommandCall* call);
void CommandList(CommandCall* call);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_HANDLERS_H_
