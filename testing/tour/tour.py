#!/usr/bin/env python3
"""Runs the `console` blocks of README.md as they stand there, and compares what comes.

  ./bazelw build //apps/... && testing/tour/tour.py [--all]

A block's lines that begin with "$ " are typed into one shell, in their order; what is
below each has to come out, and nothing else. Figures of a measurement, the random ids and
free ports of a cluster's nodes, and who of them holds what, are compared by their shape. A
server without "&" has a terminal of its own, until the text says Ctrl-C.

What stands in for the user's machine, in a temporary folder:
- bazelw: the programs are built already; `run` runs them, `build` and `test` do nothing.
- The ports: servers listen on 127.A.B.C and ports that the first one is given. Commands
  and outputs are translated, so that a server that runs on this machine is not met. All
  servers have the same ports, as the user's have: one that is not stopped is in the way.
  Nodes of a cluster listen on the same address, and on free ports unless told otherwise.

Commands that need curl or redis-cli are left out where that is not installed; with --all
that is a failure.
"""

import argparse
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile

_PROGRAMS = ("group_by", "kv_bench", "kv_build", "kv_client", "kv_cluster", "kv_node", "kv_repl",
             "kv_server")
_OPTIONAL = ("curl", "redis-cli")
# Of one step; what is waited for comes, or the tour has failed.
_SECONDS = 120


class Failure(Exception):
    pass


def parse(text):
    """Yields ("text", lines between blocks) and ("command", text, lines expected)."""
    for i, part in enumerate(re.split(r"^```console\n(.*?)^```$", text, flags=re.M | re.S)):
        if i % 2 == 0:
            yield ("text", part, [])
            continue
        command, expected = None, []
        for line in part.splitlines():
            if command is not None and command.endswith("\\"):
                command = command[:-1] + line.strip()
            elif line.startswith("$ "):
                if command is not None:
                    yield ("command", command, expected)
                command, expected = line[2:], []
            elif command is None:
                raise Failure(f"a block of README.md begins with output: {line}")
            else:
                expected.append(line)
        yield ("command", command, expected)


def shape(line):
    """The line without what was measured or picked: times, sizes, rates, ids. Counts stay."""
    address = r"127\.0\.0\.1:\d+"
    node = re.match(rf"[0-9a-f]{{12}} +(\w+) +(\w+) +\d+ +\d+ +{address} +{address} +(\S+)$", line)
    if node:
        return "node %s %s %s" % node.groups()
    line = re.sub(r"(?<![-\w])[0-9a-f]{12}(?:[0-9a-f]{28})?(?![-\w])", "ID", line)
    line = re.sub(r"\b127\.0\.0\.1:\d{5}\b", "FREE", line)
    line = re.sub(r"^(cluster ID, revision|node ID has) \d+", r"\1 N", line)
    unit = r"(?:ns|us|ms|s|B|[KMG]iB|\w+/s)\b"
    line = re.sub(rf"\d+(?:\.\d+)? [kMG]\b|\d+\.\d+|\d+(?= {unit}|/s)", "N", line)
    line = re.sub(r"\bN (?:ns|us|ms|s)\b", "N time", line)
    line = re.sub(r"\bN (?:B|[KMG]iB)\b", "N size", line)
    return re.sub(r" +", " ", line)


def is_ready(line):
    return line.startswith("ready ")


class Ports:
    """Where the servers of this tour listen, and what README.md says instead."""

    README = {"native": "127.0.0.1:7700", "resp": "127.0.0.1:7379", "http": "127.0.0.1:7780"}

    def __init__(self, folder):
        r = random.Random()
        self.host = "127.%d.%d.%d" % (r.randrange(1, 255), r.randrange(256), r.randrange(1, 255))
        self.real = {name: f"{self.host}:0" for name in self.README}
        self.known = False
        self.path = os.path.join(folder, "ports")
        self._write()

    def _write(self):
        with open(self.path, "w") as f:
            f.write(f"host={self.host}\n")
            for name, address in self.real.items():
                f.write(f"{name}={address}\n")

    def learn(self, ready):
        """From the first ready line."""
        if self.known:
            return
        for name, address in re.findall(r"(\w+)=(?:tcp://)?(\S+)", ready):
            self.real[name] = address
        self.known = True
        self._write()

    def into(self, command):
        translations = {address: self.real[name] for name, address in self.README.items()}
        host, port = self.real["resp"].split(":")
        translations["redis-cli -p 7379"] = f"redis-cli -h {host} -p {port}"
        pattern = "|".join(map(re.escape, translations))
        if re.search(r"\b(7700|7379|7780)\b", re.sub(pattern, "", command)):
            raise Failure("there is a port in it that the tour does not know how to translate")
        return re.sub(pattern, lambda match: translations[match.group()], command)

    def back(self, text):
        for name, address in self.real.items():
            if self.known:
                text = text.replace(address, self.README[name])
        return text.replace(f"{self.host}:", "127.0.0.1:")


class Terminal:
    """A shell that commands are typed into."""

    def __init__(self, folder, jobs=True):
        # FAKETTY: redis-cli prints replies as on a terminal.
        env = {**os.environ, "FAKETTY": "1", "LC_ALL": "C.UTF-8"}
        self.shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-s"], cwd=folder, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True)
        self.pipes = {"err": self.shell.stderr.fileno(), "out": self.shell.stdout.fileno()}
        self.pending = {"err": b"", "out": b""}
        for fd in self.pipes.values():
            os.set_blocking(fd, False)
        self.steps = 0
        self._type("shopt -s expand_aliases" + ("; set -m" if jobs else ""))

    def _read(self, name):
        """What is there: whole lines, none where there are none; None at the end."""
        while True:
            try:
                got = os.read(self.pipes[name], 1 << 16)
            except BlockingIOError:
                break
            if not got:
                return None
            self.pending[name] += got
        *lines, self.pending[name] = self.pending[name].split(b"\n")
        return [line.decode(errors="backslashreplace") for line in lines]

    def _type(self, text):
        self.shell.stdin.write(text + "\n")
        self.shell.stdin.flush()

    def _until(self, taken):
        """Waits for lines until taken(name, line) is true."""
        while True:
            if not select.select(list(self.pipes.values()), [], [], _SECONDS)[0]:
                raise Failure(f"nothing more came in {_SECONDS} s")
            # Errors last: what came before a line of output is there once that is.
            lines = {"out": self._read("out"), "err": self._read("err")}
            if lines["out"] is None:
                raise Failure("the shell ended: " + " ".join(lines["err"] or []))
            done = [taken(name, line) for name in ("err", "out") for line in lines[name] or []]
            if any(done):
                return

    def run(self, command, ready):
        """Its exit code, and what it said. `ready`: how many ready lines it also waits for."""
        said = {"out": [], "err": []}
        self.steps += 1
        mark = f"@{self.steps}@"
        self._type(command)
        self._type(f"__code=$?; echo '{mark}' >&2; echo \"{mark}$__code\"; (exit $__code)")
        code, missing = [], {"out", "err"} | {f"ready {i}" for i in range(ready)}

        def taken(name, line):
            before, found, after = line.partition(mark)
            if found:
                missing.discard(name)
                if name == "out":
                    code.append(int(after))
            if before or not found:  # before: the last line had no end
                said[name].append(before)
            if name == "out" and is_ready(line):
                missing.discard(f"ready {sum(is_ready(s) for s in said['out']) - 1}")
            # A server that cannot start is not waited for.
            if ready and name == "err" and re.match(r"kv_(server|node): .*in use", line):
                raise Failure(line)
            return not missing

        self._until(taken)
        return code[0], said

    def serve(self, command):
        """Runs a server in the foreground, to the ready line; what it said."""
        said = {"out": [], "err": []}
        self._type(command)
        self.shell.stdin.close()

        def taken(name, line):
            said[name].append(line)
            return name == "out" and is_ready(line)

        self._until(taken)
        return said

    def interrupt(self):
        os.killpg(self.shell.pid, signal.SIGINT)
        try:
            self.shell.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failure("the server does not end at Ctrl-C") from None

    def end(self):
        try:
            if self.shell.poll() is None and not self.shell.stdin.closed:
                self._type("kill $(jobs -p) 2>/dev/null; wait; exit")
                self.shell.wait(30)
        except (OSError, subprocess.TimeoutExpired):
            pass
        finally:
            if self.shell.poll() is None:
                os.killpg(self.shell.pid, signal.SIGTERM)
                self.shell.wait(30)


class Tour:
    def __init__(self, root, programs, folder, need_all):
        self.folder, self.need_all = folder, need_all
        self.ports = Ports(folder)
        self.ran = self.skipped = 0
        self.main = self.server = None
        self._furnish(root, os.path.abspath(programs))

    def _furnish(self, root, programs):
        data = os.path.join(self.folder, "testing/data")
        os.makedirs(data)
        for name in ("example.data", "make_data.py"):
            shutil.copy(os.path.join(root, "testing/data", name), data)
        self._script("bazelw", 'case $1 in run) program=${2##*:}; shift 3; '
                     'exec bazel-bin/apps/"$program" "$@";; esac')
        os.makedirs(os.path.join(self.folder, "bazel-bin/apps"))
        flags = {"kv_server": "--listen=tcp://$native --resp=$resp --http=$http",
                 "kv_client": "--store=tcp://$native", "kv_bench": "--store=tcp://$native",
                 "kv_node": "--listen=tcp://$host:0 --resp=$host:0 --http=$host:0 "
                            "--internal=$host:0"}
        for name in _PROGRAMS:
            self._script(f"bazel-bin/apps/{name}",
                         f". '{self.ports.path}'; "
                         f"exec '{programs}/{name}' {flags.get(name, '')} \"$@\"")

    def _script(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o755)

    def run(self, readme):
        self.main = Terminal(self.folder)
        try:
            for kind, text, expected in parse(readme):
                if kind == "text":
                    if "Ctrl-C" in text and self.server is not None:
                        self.server.interrupt()
                        self.server = None
                else:
                    self.step(text, expected)
        finally:
            for terminal in (self.main, self.server):
                if terminal is not None:
                    terminal.end()

    def step(self, command, expected):
        absent = [p for p in _OPTIONAL
                  if re.search(rf"(^|[|&;]\s*){p} ", command) and shutil.which(p) is None]
        if absent:
            if self.need_all:
                raise Failure(f"{absent[0]} is not installed: {command}")
            print(f"left out, without {absent[0]}: {command}")
            self.skipped += 1
            return
        print(f"$ {command}", flush=True)
        try:
            ready = sum(map(is_ready, expected))
            if ready and not command.endswith(("&", "& done")):
                self.server = Terminal(self.folder, jobs=False)
                code, said = 0, self.server.serve(self.ports.into(command))
            else:
                code, said = self.main.run(self.ports.into(command), ready)
            for line in said["out"]:
                if is_ready(line):
                    self.ports.learn(line)
            self.compare(command, expected, code, said)
        except Failure as failure:
            raise Failure(f"{command}\n  {failure}") from None
        self.ran += 1

    def compare(self, command, expected, code, said):
        is_error = re.compile("(%s): " % "|".join(_PROGRAMS)).match
        # Not progress, which a terminal overwrites, nor the shell's word of a job: that it has a
        # number, and, whenever it comes to know of it, that it was killed.
        errors = [line for line in said["err"]
                  if not re.match(r"[a-z][a-z ]*: ([\d.]+%?|[\d.]+ .*)(, | in )|\[\d+\]"
                                  r"|bash: line \d+: +\d+ Killed ", line)]
        # Whether redis-cli is sent on depends on who holds the key.
        said["out"] = [line for line in said["out"] if not line.startswith("-> Redirected to ")]
        for name, want, got in (
                ("standard output", [e for e in expected if not is_error(e)], said["out"]),
                ("standard error", [e for e in expected if is_error(e)], errors)):
            got = [self.ports.back(line) for line in got]
            if [shape(line) for line in want] != [shape(line) for line in got]:
                raise Failure(f"README.md has on {name}:\n"
                              + "".join(f"    {line}\n" for line in want)
                              + "  and it is:\n" + "".join(f"    {line}\n" for line in got))
        want = 1 if command.startswith("kv_client ") and any(map(is_error, expected)) else 0
        if code != want:
            raise Failure(f"exit code {code}, expected {want}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=".", help="of the tree")
    parser.add_argument("--programs", default="bazel-bin/apps")
    parser.add_argument("--all", action="store_true", help="fail where a command is not installed")
    args = parser.parse_args()
    with open(os.path.join(args.root, "README.md"), encoding="utf-8") as f:
        readme = f.read()
    folder = tempfile.mkdtemp(prefix="tour.", dir=os.environ.get("TEST_TMPDIR"))
    tour = Tour(args.root, args.programs, folder, args.all)
    try:
        tour.run(readme)
    except Failure as failure:
        sys.exit(f"tour: {failure}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if tour.ran < 10:
        sys.exit(f"tour: README.md has only {tour.ran} commands to run")
    print(f"{tour.ran} commands ran, {tour.skipped} left out")


if __name__ == "__main__":
    main()
