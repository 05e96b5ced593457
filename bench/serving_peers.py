#!/usr/bin/env python3
"""kv_server beside redis-server and nginx: rates, and the server's processor time
a request, from the outside.

    ./bazelw build //apps:kv_server && bench/serving_peers.py

Needs redis-server, redis-benchmark, nginx and wrk. Server and client have a core
each. All servers are asked in turn, round by round; the table has medians.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
VALUE = 64


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_port(port, process):
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"serving_peers: {process.args[0]} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"serving_peers: {process.args[0]} does not listen on port {port}")


def cpu_seconds(pid):
    """User and system time of a process and its children that live."""
    total = 0
    for p in [pid] + [int(c) for c in subprocess.run(
            ["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()]:
        with open(f"/proc/{p}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


class Servers:
    """Started on core 0; stopped by process id."""

    def __init__(self, args, folder):
        self.processes = []
        self.args, self.folder = args, folder
        self.data = os.path.join(folder, "bench.data")
        with open(self.data, "w") as data:
            for i in range(args.records):
                data.write(f"key:{i:012d} {str(i).rjust(VALUE, 'x')}\n")

    def start(self, command, port):
        process = subprocess.Popen(["taskset", "-c", "0"] + command,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        await_port(port, process)
        return process.pid

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait()

    def redis(self):
        port = free_port()
        pid = self.start(["redis-server", "--port", str(port), "--save", "", "--appendonly", "no",
                          "--dir", self.folder], port)
        load = subprocess.Popen(["redis-cli", "-p", str(port), "--pipe"], stdin=subprocess.PIPE,
                                stdout=subprocess.DEVNULL)
        for i in range(self.args.records):
            value = str(i).rjust(VALUE, "x")
            load.stdin.write(f"*3\r\n$3\r\nSET\r\n$16\r\nkey:{i:012d}\r\n${VALUE}\r\n{value}\r\n"
                             .encode())
        load.stdin.close()
        if load.wait() != 0:
            sys.exit("serving_peers: redis-cli --pipe failed")
        return pid, port

    def kvarts(self, store):
        resp, http = free_port(), free_port()
        pid = self.start([self.args.kv_server, f"--store={store}:{self.data}", "--threads=1",
                          "--listen=", f"--resp=127.0.0.1:{resp}", f"--http=127.0.0.1:{http}"],
                         resp)
        deadline = time.time() + 120
        while True:  # loaded: it answers with a value
            reply = subprocess.run(["redis-cli", "-p", str(resp), "GET", "key:000000000001"],
                                   capture_output=True, text=True).stdout
            if reply.startswith("x"):
                return pid, resp, http
            if time.time() > deadline:
                sys.exit(f"serving_peers: {store} does not get ready: {reply}")
            time.sleep(0.05)

    def nginx(self):
        port = free_port()
        conf = os.path.join(self.folder, "nginx.conf")
        root = os.path.join(self.folder, "www")
        os.mkdir(root)
        with open(os.path.join(root, "value"), "w") as f:
            f.write("x" * VALUE)
        os.chmod(self.folder, 0o755)
        with open(conf, "w") as f:
            f.write(f"""daemon off; worker_processes 1; pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; sendfile on; tcp_nopush on;
  open_file_cache max=100;
  server {{ listen 127.0.0.1:{port}; root {root}; default_type application/octet-stream; }} }}
""")
        return self.start(["nginx", "-p", self.folder, "-c", conf], port), port


def run_redis_benchmark(args, pid, port, pipeline):
    n = args.requests * max(1, min(pipeline, 8))
    before = cpu_seconds(pid)
    out = subprocess.run(
        ["taskset", "-c", "1", "redis-benchmark", "-p", str(port), "-c", "50", "-P", str(pipeline),
         "-n", str(n), "-r", str(args.records), "-q", "GET", "key:__rand_int__"],
        capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - before
    rates = re.findall(r"([0-9.]+) requests per second", out)
    if not rates:
        sys.exit(f"serving_peers: redis-benchmark said: {out}")
    return float(rates[-1]), used / n * 1e6


def run_wrk(args, pid, port, path):
    before = cpu_seconds(pid)
    out = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t", "1", "-c", "50", "-d", f"{args.seconds}s",
         f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - before
    if "Non-2xx" in out:
        sys.exit(f"serving_peers: wrk said: {out}")
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    return float(re.search(r"Requests/sec:\s+([0-9.]+)", out).group(1)), used / requests * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kv_server", default="bazel-bin/apps/kv_server")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=500_000)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    for program in ["redis-server", "redis-benchmark", "redis-cli", "nginx", "wrk", "taskset"]:
        if shutil.which(program) is None:
            sys.exit(f"serving_peers: {program} is not installed")
    folder = tempfile.mkdtemp(prefix="serving_peers.")
    servers = Servers(args, folder)
    try:
        redis, redis_port = servers.redis()
        bisect, bisect_port, bisect_http = servers.kvarts("bisect")
        dictionary, dict_port, dict_http = servers.kvarts("dict")
        nginx, nginx_port = servers.nginx()
        cases = {}
        for _ in range(args.rounds):
            for p in [1, 16, 64]:
                for name, pid, port in [("redis", redis, redis_port),
                                        ("bisect", bisect, bisect_port),
                                        ("dict", dictionary, dict_port)]:
                    cases.setdefault((f"RESP GET -P {p}", name), []).append(
                        run_redis_benchmark(args, pid, port, p))
            for name, pid, port, path in [("nginx", nginx, nginx_port, "/value"),
                                          ("bisect", bisect, bisect_http, "/v1/kv/key:000000000001"),
                                          ("dict", dictionary, dict_http, "/v1/kv/key:000000000001")]:
                cases.setdefault(("HTTP GET", name), []).append(run_wrk(args, pid, port, path))
    finally:
        servers.stop()
        shutil.rmtree(folder)
    print(f"{'':16} {'server':8} {'requests/s':>11} {'CPU us':>8} {'x rate':>7} {'x CPU':>6}")
    for case in dict.fromkeys(c for c, _ in cases):
        names = [n for c, n in cases if c == case]
        medians = {n: (statistics.median(r for r, _ in cases[case, n]),
                       statistics.median(c for _, c in cases[case, n])) for n in names}
        peer = medians[names[0]]
        for n in names:
            rate, cpu = medians[n]
            print(f"{case:16} {n:8} {rate:11.0f} {cpu:8.3f} {rate / peer[0]:7.2f} "
                  f"{cpu / peer[1]:6.2f}")


if __name__ == "__main__":
    main()
