#!/usr/bin/env python3
"""The memory store behind kv_server, beside redis-server and memcached: what an entry of
a UUID and 64 B takes, GET and SET rates with the server's processor time a request, and
the latencies of an open loop.

    ./bazelw build //apps:kv_server //apps:kv_bench && bench/memory_peers.py

Needs redis-server, redis-benchmark, memcached, memcaslap and taskset; --only=latency
needs redis-server and taskset. Server and client have a core each; with --threads=2 the
server has both. All servers are asked in turn, round by round; the table has medians.

The latencies: the highest rate of a closed loop first, 95 % GET and 5 % SET on 50
connections; then an open loop at half of Redis's highest rate, the same for both, and at
half of each one's own. kv_bench loads both servers, over RESP, and counts a request's
latency from when it was due.
"""

import argparse
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import uuid

from serving_peers import await_port, cpu_seconds, free_port

VALUE = 64


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) * 1024


class Servers:
    """Stopped by process id."""

    def __init__(self, args, folder):
        self.args, self.folder, self.processes = args, folder, []

    def start(self, command, port, core="0"):
        prefix = ["taskset", "-c", core] if core else []
        process = subprocess.Popen(prefix + command, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.processes.append(process)
        await_port(port, process)
        return process.pid, port

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.processes = []

    def redis(self):
        port = free_port()
        return self.start(["redis-server", "--port", str(port), "--save", "", "--appendonly", "no",
                           "--dir", self.folder], port)

    def kvarts(self, threads=1, core="0"):
        port = free_port()
        return self.start([self.args.kv_server, "--store=memory:", f"--threads={threads}",
                           "--listen=", f"--resp=127.0.0.1:{port}", "--http="], port, core)

    def memcached(self):
        port = free_port()
        return self.start(["memcached", "-p", str(port), "-U", "0", "-l", "127.0.0.1", "-m", "4096",
                           "-t", "1", "-u", "root"], port)


def uuids(count):
    source = random.Random(1)
    return (str(uuid.UUID(int=source.getrandbits(128), version=4)) for _ in range(count))


def load_resp(port, count):
    load = subprocess.Popen(["redis-cli", "-p", str(port), "--pipe"], stdin=subprocess.PIPE,
                            stdout=subprocess.DEVNULL)
    value = "v" * VALUE
    for key in uuids(count):
        load.stdin.write(f"*3\r\n$3\r\nSET\r\n$36\r\n{key}\r\n${VALUE}\r\n{value}\r\n".encode())
    load.stdin.close()
    if load.wait() != 0:
        sys.exit("memory_peers: redis-cli --pipe failed")


def load_memcached(port, count):
    value = "v" * VALUE
    with socket.create_connection(("127.0.0.1", port)) as s:
        batch = []
        for i, key in enumerate(uuids(count), 1):
            batch.append(f"set {key} 0 0 {VALUE} noreply\r\n{value}\r\n")
            if i % 1000 == 0 or i == count:
                s.sendall("".join(batch).encode())
                batch = []
        s.sendall(b"version\r\n")
        if not s.recv(100).startswith(b"VERSION"):
            sys.exit("memory_peers: memcached does not answer")


def measure_memory(args, folder):
    print(f"{args.entries} entries of a UUID and {VALUE} B: bytes an entry, resident")
    for name in ["redis", "memcached", "kvarts"]:
        servers = Servers(args, folder)
        try:
            pid, port = getattr(servers, name)()
            empty = resident(pid)
            (load_memcached if name == "memcached" else load_resp)(port, args.entries)
            full = resident(pid)
        finally:
            servers.stop()
        print(f"  {name:10} {full / args.entries:7.1f} in all, "
              f"{(full - empty) / args.entries:7.1f} beyond the empty server's "
              f"{empty / 2**20:.1f} MiB", flush=True)


def redis_benchmark(args, pid, port, pipeline, command, core="1"):
    n = args.requests * max(1, min(pipeline, 8))
    before = cpu_seconds(pid)
    prefix = ["taskset", "-c", core] if core else []
    out = subprocess.run(
        prefix + ["redis-benchmark", "-p", str(port), "-c", "50", "-P", str(pipeline), "-n", str(n),
                  "-r", str(args.keys), "-d", str(VALUE), "-q", "-t", command],
        capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - before
    rates = re.findall(r"([0-9.]+) requests per second", out)
    if not rates:
        sys.exit(f"memory_peers: redis-benchmark said: {out}")
    return float(rates[-1]), used / n * 1e6


def memcaslap(args, pid, port, command, folder):
    config = os.path.join(folder, "memcaslap.cfg")
    with open(config, "w") as f:
        f.write(f"key\n16 16 1\nvalue\n{VALUE} {VALUE} 1\ncmd\n{0 if command == 'set' else 1} 1.0\n")
    before = cpu_seconds(pid)
    out = subprocess.run(
        ["taskset", "-c", "1", "memcaslap", "-s", f"127.0.0.1:{port}", "-T", "1", "-c", "50", "-x",
         str(args.requests), "-F", config], capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - before
    rate = float(re.search(r"TPS: (\d+)", out).group(1))
    return rate, used / args.requests * 1e6


def measure_speed(args, folder):
    servers = Servers(args, folder)
    cases = {}
    try:
        peers = {"redis": servers.redis(), "kvarts": servers.kvarts()}
        memcached = servers.memcached()
        free = {f"{n} thread{'s' * (n - 1)}": servers.kvarts(threads=n, core="") for n in [1, 2]}
        for pid, port in [*peers.values(), *free.values()]:
            redis_benchmark(argparse.Namespace(**{**vars(args), "requests": 300_000}), pid, port, 64,
                            "set")
        for _ in range(args.rounds):
            for command in ["get", "set"]:
                for p in [1, 16, 64]:
                    for name, (pid, port) in peers.items():
                        cases.setdefault((f"{command.upper()} -P {p}", name), []).append(
                            redis_benchmark(args, pid, port, p, command))
                cases.setdefault((f"{command.upper()} -P 1", "memcached"), []).append(
                    memcaslap(args, *memcached, command, folder))
                for p in [1, 16, 64]:
                    for name, (pid, port) in free.items():
                        cases.setdefault((f"{command.upper()} -P {p}, 2 cores", name), []).append(
                            redis_benchmark(args, pid, port, p, command, core=""))
    finally:
        servers.stop()
    print(f"{'':20} {'server':10} {'requests/s':>11} {'CPU us':>8} {'x rate':>7} {'x CPU':>6}")
    for case in dict.fromkeys(c for c, _ in cases):
        names = [n for c, n in cases if c == case]
        medians = {n: tuple(statistics.median(column) for column in zip(*cases[case, n]))
                   for n in names}
        peer = medians[names[0]]
        for n in names:
            rate, cpu = medians[n]
            print(f"{case:20} {n:10} {rate:11.0f} {cpu:8.3f} {rate / peer[0]:7.2f} "
                  f"{cpu / peer[1]:6.2f}")


def kv_bench(args, port, flags):
    """One run of the mix on core 1; its JSON."""
    ran = subprocess.run(
        ["taskset", "-c", "1", args.kv_bench, f"--store=resp://127.0.0.1:{port}",
         f"--records={args.keys}", f"--value_bytes={VALUE}", "--mix=get:95,put:5",
         "--connections=50", "--json"] + flags, capture_output=True, text=True)
    if ran.returncode == 0:
        result = json.loads(ran.stdout)
        if result["unexpected_misses"] == 0:
            return result
    sys.exit(f"memory_peers: kv_bench said: {ran.stderr}{ran.stdout}")


def measure_latency(args, folder):
    timed = [f"--warmup={args.warmup}", f"--duration={args.seconds}"]
    servers = Servers(args, folder)
    try:
        peers = {"redis": servers.redis()[1], "kvarts": servers.kvarts()[1]}
        for port in peers.values():
            kv_bench(args, port, ["--load", "--duration=0"])
        rates, busy = {name: [] for name in peers}, {name: [] for name in peers}
        for _ in range(args.rounds):
            for name, port in peers.items():
                result = kv_bench(args, port, timed)
                rates[name].append(result["requests_per_s"])
                busy[name].append(result["cpu_s"] / result["elapsed_s"])
        highest = {name: statistics.median(r) for name, r in rates.items()}
        cases = {}
        for _ in range(args.rounds):
            for case, rate_of in [("half of redis's", lambda name: highest["redis"] / 2),
                                  ("half of its own", lambda name: highest[name] / 2)]:
                for name, port in peers.items():
                    rate = rate_of(name)
                    result = kv_bench(args, port, timed + [f"--rate={rate:.0f}"])
                    figures = [rate, result["requests_per_s"], result["cpu_s"] / result["elapsed_s"]]
                    for of in ["latency_ns", "start_delay_ns"]:
                        figures += [result[of][q] / 1000 for q in ["p50", "p99", "p999"]]
                    cases.setdefault((case, name), []).append(figures)
    finally:
        servers.stop()
    for name, rate in highest.items():
        print(f"{name}: closed loop, at most {rate:.0f} requests/s "
              f"(rounds: {', '.join(f'{r:.0f}' for r in rates[name])}), "
              f"kv_bench busy {statistics.median(busy[name]):.0%}")
    print(f"{'open loop at':16} {'server':8} {'wanted/s':>9} {'done/s':>9} {'client':>7} "
          f"{'p50 us':>8} {'p99 us':>8} {'p99.9 us':>9}   sent late: p50, p99, p99.9 us")
    for (case, name), runs in cases.items():
        rate, done, client, p50, p99, p999, *late = [statistics.median(c) for c in zip(*runs)]
        print(f"{case:16} {name:8} {rate:9.0f} {done:9.0f} {client:7.0%} {p50:8.1f} {p99:8.1f} "
              f"{p999:9.1f}   {', '.join(f'{l:.1f}' for l in late)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kv_server", default="bazel-bin/apps/kv_server")
    parser.add_argument("--kv_bench", default="bazel-bin/apps/kv_bench")
    parser.add_argument("--entries", type=int, default=2_000_000, help="of the memory's part")
    parser.add_argument("--keys", type=int, default=1_000_000, help="of the speed's part")
    parser.add_argument("--requests", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10, help="of each run of the latencies")
    parser.add_argument("--warmup", type=float, default=2, help="seconds before they count")
    parser.add_argument("--only", choices=["memory", "speed", "latency"])
    args = parser.parse_args()
    programs = ["redis-server", "taskset"]
    if args.only != "latency":
        programs += ["redis-benchmark", "redis-cli", "memcached", "memcaslap"]
    for program in programs:
        if shutil.which(program) is None:
            sys.exit(f"memory_peers: {program} is not installed")
    folder = tempfile.mkdtemp(prefix="memory_peers.")
    try:
        for part, measure in [("memory", measure_memory), ("speed", measure_speed),
                              ("latency", measure_latency)]:
            if args.only in [None, part]:
                measure(args, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
