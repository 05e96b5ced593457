#!/usr/bin/env python3
"""Runs clang-tidy over the tree, in parallel; exits 1 where it finds something.

Usage: tools/clang_tidy.py [file.cc...]. Needs compile_commands.json, see
tools/compile_commands.py. A file is passed over while what it includes, its
flags and .clang-tidy are as they were when it was clean: .cache/tidy/ holds an
empty file, named by a hash of them, for each.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_CACHE = _ROOT / ".cache" / "tidy"
# clang -Wthread-safety checks base/mutex.h's annotations.
_TIDY = ["clang-tidy-14", "-p", ".", "--quiet", "--extra-arg=-Wthread-safety"]


def _key(command):
    """A hash of all that a run on the file depends on; None where it does not preprocess."""
    arguments, skip = [], False
    for argument in command["arguments"][1:]:
        if not skip and argument not in ("-c", "-MD"):
            arguments.append(argument)
        skip = argument in ("-o", "-MF")
        if skip:
            arguments.pop()
    # With comments: NOLINT is one.
    run = subprocess.run(["clang++-14", "-w", "-E", "-C"] + arguments, cwd=_ROOT,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if run.returncode:
        return None
    key = hashlib.sha256(run.stdout)
    key.update("\0".join(_TIDY + arguments).encode())
    key.update((_ROOT / ".clang-tidy").read_bytes())
    return key.hexdigest()


def _check(command):
    """What clang-tidy finds in the file."""
    key = _key(command)
    if key and (_CACHE / key).exists():
        return ""
    run = subprocess.run(_TIDY + [command["file"]], cwd=_ROOT, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if run.returncode:
        return run.stdout or run.stderr
    if key:
        (_CACHE / key).touch()
    return ""


def main():
    commands = json.loads((_ROOT / "compile_commands.json").read_text())
    if sys.argv[1:]:
        wanted = {str(pathlib.Path(name).resolve()) for name in sys.argv[1:]}
        commands = [c for c in commands if c["file"] in wanted]
        if len(commands) < len(wanted):
            sys.exit("compile_commands.json does not have all of these files")
    _CACHE.mkdir(parents=True, exist_ok=True)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(_check, commands):
            if found:
                bad += 1
                print(found, flush=True)
    print(f"{len(commands)} files, {bad} with findings")
    sys.exit(1 if bad else 0)


main()
