#!/usr/bin/env python3
"""group_by beside DuckDB, Polars and `sort | datamash`, from text in to text out: time,
processor time and memory of the whole process, in one run and in turn.

    ./bazelw build //apps:group_by //groupby/bench/... && groupby/bench/peers.py

Needs sort, datamash, node and npm; DuckDB and Polars come from npm by name, version and
checksum. The input is in the page cache, temporary files and outputs are new and what
was written is on disk before a run begins. The table has medians. That the outputs agree
is checked in the first round, and that ours has values in the order of the input.
"""

import argparse
import filecmp
import json
import os
import platform
import shutil
import subprocess
import sys

import measure
from measure import MIB


def install(folder):
    """The packages of package-lock.json, where they are not there yet."""
    lock = os.path.join(measure.HERE, "package-lock.json")
    stamp = os.path.join(folder, "installed.json")
    if os.path.exists(stamp) and filecmp.cmp(stamp, lock, shallow=False):
        return
    os.makedirs(folder, exist_ok=True)
    for name in ["package.json", "package-lock.json"]:
        shutil.copy(os.path.join(measure.HERE, name), folder)
    # No script of a package runs.
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                          cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"peers.py: npm: {done.stderr[-500:]}")
    shutil.copy(lock, stamp)


def versions(args):
    def version(command):
        said = subprocess.run([command, "--version"], capture_output=True, text=True).stdout
        return said.split("\n")[0].split()[-1]

    with open(os.path.join(args.npm_dir, "package.json")) as package:
        found = json.load(package)["dependencies"]
    return {"duckdb": found["@duckdb/node-api"], "polars": found["nodejs-polars"],
            **{command: version(command) for command in ["sort", "datamash", "node"]},
            "kernel": platform.release()}


class Subjects:
    """A method a subject: one run, from args.input to folder.output."""

    def __init__(self, args, folder):
        self.args, self.folder = args, folder

    def group_by(self):
        return measure.group_by(self.args, self.folder, self.args.input, self.args.memory)

    def group_by_large(self):
        return measure.group_by(self.args, self.folder, self.args.input, self.args.large)

    def node(self, program, *memory):
        self.folder.clear()
        return measure.run(["env", "-C", self.args.npm_dir, "node",
                            os.path.join(measure.HERE, "peers.mjs"), program, self.args.input,
                            self.folder.output, str(self.args.threads), self.folder.temp, *memory])

    def duckdb(self):
        return self.node("duckdb")

    def duckdb_string_agg(self):
        return self.node("duckdb_string_agg")

    def duckdb_limited(self):
        return self.node("duckdb", self.args.memory)

    def polars(self):
        return self.node("polars")

    def sort(self):
        self.folder.clear()
        return measure.run(["sort", "-S", "512M", f"--parallel={self.args.threads}", "-s", "-k1,1",
                            "-T", self.folder.temp, self.args.input],
                           ["datamash", "groupby", "1", "collapse", "2"],
                           output=self.folder.output)


NAMES = ["group_by", "group_by_large", "duckdb", "duckdb_string_agg", "duckdb_limited", "polars",
         "sort"]


def title(args, name):
    return {"group_by": f"group_by {args.memory}", "group_by_large": f"group_by {args.large}",
            "duckdb_string_agg": "duckdb string_agg", "duckdb_limited": f"duckdb {args.memory}",
            "sort": "sort | datamash"}.get(name, name)


def print_table(args, rows, results, failures):
    reference = next((n for n in args.subjects if n in results), None)
    print(f"{'':20} {'s':>7} {'CPU s':>7} {'M rows/s':>8} {'resident MiB':>12} "
          f"{'anonymous':>9} {'spilled MB':>10} {'x time':>7} {'x memory':>8}")
    for name in args.subjects:
        if name in failures:
            print(f"{title(args, name):20} failed: {failures[name]}")
            continue
        runs, first = results[name], results[reference]
        seconds, resident = measure.median(runs, "seconds"), measure.median(runs, "resident")
        spilled = runs[-1].stat("spilled")
        print(f"{title(args, name):20} {seconds:7.2f} {measure.median(runs, 'cpu'):7.2f} "
              f"{rows / seconds / 1e6:8.2f} {resident / MIB:12.0f} "
              f"{measure.median(runs, 'anonymous') / MIB:9.0f} "
              f"{'' if spilled is None else f'{spilled / 1e6:.0f}':>10} "
              f"{seconds / measure.median(first, 'seconds'):7.2f} "
              f"{resident / measure.median(first, 'resident'):8.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    measure.add_flags(parser)
    parser.add_argument("--input", help="lines key<TAB>value; generated where not given")
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--keys", type=int, default=0, help="0: a quarter of the rows")
    parser.add_argument("--shape", default="uniform")
    parser.add_argument("--memory", default="448MiB")
    parser.add_argument("--large", default="8GiB", help="memory of group_by_large")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--subjects", default="group_by,group_by_large,duckdb,polars,sort",
                        type=lambda text: text.split(","), help=f"of {', '.join(NAMES)}; ratios "
                        "are to the first one (%(default)s)")
    parser.add_argument("--npm_dir", default=os.path.join(measure.ROOT, ".cache/groupby_peers"),
                        help="where DuckDB and Polars are installed (%(default)s)")
    parser.add_argument("--json", help="a file for all runs")
    args = parser.parse_args()
    for name in args.subjects:
        if name not in NAMES:
            parser.error(f"{name} is no subject; expected {', '.join(NAMES)}")
    if not any(name.startswith("group_by") for name in args.subjects):
        args.group_by = "true"
    measure.check_programs(args, "sort", "datamash", "node", "npm")
    args.npm_dir = os.path.abspath(args.npm_dir)
    install(args.npm_dir)

    with measure.Folder(args.dir) as folder:
        if args.input is None:
            args.input = folder.file("rows.tsv")
            measure.generate(args, args.input, rows=args.rows, keys=args.keys, shape=args.shape)
        args.input = os.path.abspath(args.input)
        expected = measure.digest(args, args.input)  # has it in the page cache, too
        size = os.path.getsize(args.input)
        rows = int(expected.split()[0].partition("=")[2])
        subjects, results, failures = Subjects(args, folder), {}, {}
        for turn in range(args.rounds):
            for name in args.subjects:
                if name in failures:
                    continue
                try:
                    done = getattr(subjects, name)()
                    if turn == 0:
                        measure.check_output(args, folder, expected, name.startswith("group_by"))
                    results.setdefault(name, []).append(done)
                except measure.Failed as failed:
                    failures[name] = str(failed)
                    results.pop(name, None)
    found = versions(args)
    print(f"{expected}, {size / 1e6:.0f} MB")
    print(", ".join(f"{name} {version}" for name, version in found.items()))
    print_table(args, rows, results, failures)
    if args.json:
        with open(args.json, "w") as out:
            runs = {name: [vars(run) for run in runs] for name, runs in results.items()}
            json.dump({"versions": found, "input": expected, "failures": failures, "runs": runs},
                      out, indent=1)
    # Of a peer that has too little memory, failing is a result.
    return 1 if set(failures) - {"duckdb_limited"} else 0


if __name__ == "__main__":
    sys.exit(main())
