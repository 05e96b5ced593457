#!/usr/bin/env python3
"""How long a fourth node takes to get its share, beside Redis Cluster.

    ./bazelw build //apps:kv_node //apps:kv_cluster //apps:kv_client
    bench/cluster_peers.py --entries=1000000 --rounds=3

Each round, in turns: three kv_node processes in memory are loaded with entries of
36 and 64 bytes, a fourth one starts, and the time from its start to the last
switch is taken (the table, from the coordinator's file, has nothing joining any
more); then the same with three redis-servers in cluster mode and `redis-cli
--cluster rebalance`, with its default pipeline and with 1000. Everything is on
loopback, on this machine. Prints each round and the medians.

    bench/cluster_peers.py --latency --entries=1000000 --rounds=3

What clients see of it: three nodes are loaded by kv_bench, its closed loop finds
how many requests they take at most, and an open loop at 30 % of that is measured
twice, in a steady cluster and with the fourth node starting a second after it. Each
caller waits for its answer: there are enough of them that those whose slots are held
do not keep the others' requests from being sent. Beside them a thread that only sleeps
says how late this machine alone makes who waits, and the nodes how long holds were.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid

import plot

BIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../bazel-bin/apps")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_data(path, entries):
    rng = random.Random(1)
    with open(path, "w") as out:
        for _ in range(entries):
            out.write("%s %s\n" % (uuid.UUID(int=rng.getrandbits(128), version=4), "v" * 64))


class Processes:
    """Ends what it started, by process id."""

    def __init__(self):
        self.all = []

    def start(self, command, **options):
        process = subprocess.Popen(command, **options)
        self.all.append(process)
        return process

    def end(self):
        for process in self.all:
            process.send_signal(signal.SIGKILL)
        for process in self.all:
            process.wait()


def kvarts_round(directory, data, entries):
    processes = Processes()
    coordinator = "--coordinator=file:%s/table" % directory
    cluster = [BIN + "/kv_cluster", coordinator]

    def status():
        out = subprocess.run(cluster + ["status", "--json"], check=True, capture_output=True)
        return json.loads(out.stdout)

    def start():
        node = processes.start(
            [BIN + "/kv_node", coordinator, "--join_delay=0s"], stdout=subprocess.PIPE, text=True
        )
        node.stdout.readline()

    def await_even(nodes):
        while True:
            now = status()
            counts = [node["slots"] for node in now["nodes"]]
            even = len(counts) == nodes and max(counts) - min(counts) <= 1
            if even and now["slots_moving"] == 0:
                return now

    try:
        subprocess.run(cluster + ["create"], check=True, capture_output=True)
        for _ in range(3):
            start()
        await_even(3)
        subprocess.run(
            [BIN + "/kv_client", "--store=cluster:file:%s/table" % directory, "load", data],
            check=True,
            capture_output=True,
        )
        began = time.monotonic()
        start()
        now = await_even(4)
        took = time.monotonic() - began
        while now["slots_to_drop"] != 0:
            now = status()
        keys = sum(node["keys"] for node in now["nodes"])
        if keys != entries:
            sys.exit("kvarts: %d entries after the move, %d before" % (keys, entries))
        return took
    finally:
        processes.end()


class Control:
    """A thread that sleeps for a millisecond, again and again, and notes how late it wakes."""

    def __init__(self):
        self._late = []
        self._ends = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._ends:
            began = time.monotonic()
            time.sleep(0.001)
            self._late.append((time.monotonic() - began) * 1000 - 1)

    def end(self):
        """p99 and the latest, in ms."""
        self._ends = True
        self._thread.join()
        late = sorted(self._late)
        return late[len(late) * 99 // 100], late[-1]


def slots_by_node(resp_port):
    """How many slots each node has that has any, by the map of one of them."""
    with socket.create_connection(("127.0.0.1", resp_port)) as s, s.makefile("rb") as answer:
        s.sendall(b"CLUSTER NODES\r\n")
        text = answer.read(int(answer.readline()[1:])).decode()
    counts = []
    for line in text.splitlines():
        runs = [run.split("-") for run in line.split()[8:]]
        if runs:
            counts.append(sum(int(run[-1]) - int(run[0]) + 1 for run in runs))
    return counts


def holds(status):
    """What each node that gave slots away tells of it."""
    told = []
    for node in status["nodes"]:
        with urllib.request.urlopen("http://%s/v1/stats" % node["http"]) as answer:
            details = {pair["name"]: pair["value"] for pair in json.load(answer)["details"]}
        prefix = "slots_given_"
        given = {n[len(prefix):]: value for n, value in details.items() if n.startswith(prefix)}
        if given:
            told.append({"slots": details["slots_given"], **given})
    return told


def latency_round(directory, entries, seconds):
    """p99 and longest wait in ms, steady and through the move, and how long that took."""
    processes = Processes()
    coordinator = "--coordinator=file:%s/table" % directory

    def start():
        node = processes.start(
            [BIN + "/kv_node", coordinator, "--join_delay=0s"], stdout=subprocess.PIPE, text=True
        )
        node.stdout.readline()

    def status():
        words = [BIN + "/kv_cluster", coordinator, "status", "--json"]
        return json.loads(subprocess.run(words, check=True, capture_output=True).stdout)

    def await_even(nodes):
        # A node's map: it costs nothing, where `status` counts keys and takes the table's lock.
        while True:
            time.sleep(0.02)
            counts = slots_by_node(resp_port)
            if len(counts) == nodes and max(counts) - min(counts) <= 1:
                return

    def bench(*words):
        command = [BIN + "/kv_bench", "--store=cluster:file:%s/table" % directory, "--json"]
        command += ["--records=%d" % entries, "--mix=get:90,put:10", "--interval=0.1", *words]
        return processes.start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def result(process):
        out = process.communicate()[0]
        if process.returncode != 0:
            sys.exit("kv_bench ended with %d: %s" % (process.returncode, out))
        return json.loads(out)

    try:
        subprocess.run(
            [BIN + "/kv_cluster", coordinator, "create"], check=True, capture_output=True
        )
        for _ in range(3):
            start()
        resp_port = int(status()["nodes"][0]["resp"].rsplit(":", 1)[1])
        await_even(3)
        full = result(bench("--load", "--connections=8", "--duration=3"))
        rate = "--rate=%d" % (0.3 * full["requests_per_s"])
        callers = "--connections=64"
        steady = result(bench(rate, callers, "--duration=%d" % seconds))
        sent = time.monotonic()
        moving = bench(rate, callers, "--duration=%d" % seconds)
        time.sleep(2)  # its warm-up, and a second
        control = Control()
        began = time.monotonic()
        start()
        await_even(4)
        took = time.monotonic() - began
        late = control.end()
        # The run's own clock begins with its warm-up of a second.
        at = began - sent - 1
        return full["requests_per_s"], steady, result(moving), at, took, late, holds(status())
    finally:
        processes.end()


def draw(path, entries, rate, began, took, runs):
    """Latencies by tenths of a second, of the steady cluster and of the one that grows."""

    def series(field):
        return {
            name: [
                (part["at_s"], part["latency_ns"][field] / 1e6)
                for part in run["timeline"]
                if part["latency_ns"]["count"]
            ]
            for name, run in runs.items()
        }

    moves = [(began, "a fourth node starts"), (began + took, "has its share")]

    def panel(title, field, **options):
        return plot.Panel(title, series(field), powers=False, x_title="seconds", **options)

    with open(path, "w") as out:
        out.write(
            plot.svg(
                "What clients see while a fourth node takes its share",
                "%d entries of 36 and 64 bytes in memory, %d requests a second, a tenth of them "
                "writes" % (entries, rate),
                panel("longest wait in each tenth of a second, ms", "max", marks=moves),
                [panel("median, ms", "p50"), panel("99 of 100 are below, ms", "p99")],
            )
        )


def show_latency(entries, rounds, seconds, picture):
    for round_number in range(rounds):
        directory = tempfile.mkdtemp(prefix="cluster_peers.")
        try:
            rate, steady, moving, began, took, late, held = latency_round(
                directory, entries, seconds
            )
        finally:
            shutil.rmtree(directory)
        print("round %d  at most %d/s; 3 -> 4 nodes in %.2f s" % (round_number + 1, rate, took))
        print("    control's sleeps late by ms: p99 %.2f, max %.2f" % late)
        for node in held:
            print("    holds   %(holds)s: median %(hold_median_us)s us, longest "
                  "%(hold_longest_us)s us; %(slots)s slots, %(sent_bytes)s bytes" % node)
        for name, run in [("steady", steady), ("moving", moving)]:
            latency = {k: run["latency_ns"][k] / 1e6 for k in ("p50", "p99", "p999", "max")}
            wrong = {k: run[k] for k in ("errors", "wrong_values", "unexpected_misses", "not_sent")}
            print("    %-7s %s %s" % (name, latency, wrong), flush=True)
        if picture:
            runs = {"three nodes": steady, "three, and a fourth": moving}
            draw(picture, entries, steady["loop"]["rate"], began, took, runs)


def redis_round(directory, data, entries, pipeline):
    processes = Processes()
    ports = [free_port() for _ in range(4)]

    def cli(*words):
        done = subprocess.run(["redis-cli", *words], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit("redis-cli %s: %s%s" % (" ".join(words), done.stdout[-600:], done.stderr))
        return done

    try:
        for port in ports:
            home = os.path.join(directory, str(port))
            os.mkdir(home)
            processes.start(
                ["redis-server", "--port", str(port), "--cluster-enabled", "yes", "--dir", home]
                + ["--save", "", "--cluster-port", str(free_port())],
                stdout=subprocess.DEVNULL,
            )
        addresses = ["127.0.0.1:%d" % port for port in ports]
        for port in ports:
            while subprocess.run(
                ["redis-cli", "-p", str(port), "PING"], capture_output=True
            ).stdout.strip() != b"PONG":
                time.sleep(0.05)
        cli("--cluster", "create", *addresses[:3], "--cluster-yes")
        while "cluster_state:ok" not in cli("-p", str(ports[2]), "CLUSTER", "INFO").stdout:
            time.sleep(0.1)
        load_redis(data, ports[:3], cli)
        cli("--cluster", "add-node", addresses[3], addresses[0])
        # Until gossip has come around: the tool moves nothing while nodes do not agree.
        for address in addresses:
            check = ["redis-cli", "--cluster", "check", address]
            while "4 masters" not in (
                out := subprocess.run(check, capture_output=True, text=True).stdout
            ) or "[ERR]" in out:
                time.sleep(0.5)
        for port in ports:  # a new node refuses keys while it calls the cluster down
            while "cluster_state:ok" not in cli("-p", str(port), "CLUSTER", "INFO").stdout:
                time.sleep(0.1)
        began = time.monotonic()
        words = ["--cluster", "rebalance", addresses[0], "--cluster-use-empty-masters"]
        if pipeline:
            words += ["--cluster-pipeline", str(pipeline)]
        cli(*words)
        took = time.monotonic() - began
        keys = sum(int(cli("-p", str(port), "DBSIZE").stdout) for port in ports)
        if keys != entries:
            sys.exit("redis: %d entries after the move, %d before" % (keys, entries))
        return took
    finally:
        processes.end()


def load_redis(data, ports, cli):
    """Each node gets its keys by redis-cli --pipe."""
    table = [0] * 256
    for i in range(256):
        crc = i << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
        table[i] = crc
    owner = [0] * 16384
    for port in ports:
        for line in cli("-p", str(port), "CLUSTER", "NODES").stdout.splitlines():
            words = line.split()
            if "myself" not in words[2]:
                continue
            for run in words[8:]:
                first, _, last = run.partition("-")
                for slot in range(int(first), int(last or first) + 1):
                    owner[slot] = port
    pipes = {
        port: subprocess.Popen(
            ["redis-cli", "-p", str(port), "--pipe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        for port in ports
    }
    with open(data) as lines:
        for line in lines:
            key, _, value = line.rstrip("\n").partition(" ")
            crc = 0
            for byte in key.encode():
                crc = ((crc << 8) & 0xFFFF) ^ table[(crc >> 8) ^ byte]
            command = "*3\r\n$3\r\nSET\r\n$36\r\n%s\r\n$%d\r\n%s\r\n" % (key, len(value), value)
            pipes[owner[crc % 16384]].stdin.write(command.encode())
    for pipe in pipes.values():
        pipe.stdin.close()
        if pipe.wait() != 0:
            sys.exit("redis-cli --pipe failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--entries", type=int, default=1000000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--picture", help="with --latency: an SVG of the last round")
    parser.add_argument("--seconds", type=int, default=8, help="of an open loop")
    flags = parser.parse_args()
    if flags.latency:
        return show_latency(flags.entries, flags.rounds, flags.seconds, flags.picture)
    results = {"kvarts": [], "redis": [], "redis, pipeline 1000": []}
    top = tempfile.mkdtemp(prefix="cluster_peers.")
    try:
        data = os.path.join(top, "data")
        make_data(data, flags.entries)
        for round_number in range(flags.rounds):
            for name, run in [
                ("kvarts", lambda d: kvarts_round(d, data, flags.entries)),
                ("redis", lambda d: redis_round(d, data, flags.entries, 0)),
                ("redis, pipeline 1000", lambda d: redis_round(d, data, flags.entries, 1000)),
            ]:
                directory = tempfile.mkdtemp(dir=top)
                took = run(directory)
                shutil.rmtree(directory)
                results[name].append(took)
                print("round %d  %-22s %8.2f s" % (round_number + 1, name, took), flush=True)
        kvarts = statistics.median(results["kvarts"])
        for name, times in results.items():
            median = statistics.median(times)
            print("median   %-22s %8.2f s  %6.1f x" % (name, median, median / kvarts))
    finally:
        shutil.rmtree(top)


if __name__ == "__main__":
    main()
