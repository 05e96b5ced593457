#!/usr/bin/env python3
"""Has gcc read sources under the sanitizers, without making code; exits 1 where it refuses one.

Usage: tools/sanitizer_syntax.py file.cc... Needs compile_commands.json, see
tools/compile_commands.py; what it does not have, generated sources say, is left out.

UBSan alone changes what gcc's front end takes: whether a function is null, for
example, is no constant expression under it. ASan and TSan only define a macro. So
one pass is UBSan's and ASan's, and TSan's is over the sources that see its macro looked at.
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_CACHE = _ROOT / ".cache" / "sanitizer_syntax"
_UBSAN_ASAN = "-fsanitize=undefined,address"
_TSAN = "-fsanitize=thread"


def _includes(source):
    """The names that the source includes, with their quotes or brackets."""
    return set(re.findall(r'^#include (".+"|<.+>)', source.read_text(), re.M))


def _in_tree(name):
    return name[0] == '"' and (_ROOT / name[1:-1]).is_file()


def _add_with_headers(source, seen):
    """Adds the source and the tree's headers that it includes, at any depth."""
    if source not in seen:
        seen.add(source)
        for name in filter(_in_tree, _includes(source)):
            _add_with_headers(_ROOT / name[1:-1], seen)


def _looks_at_tsan(source):
    seen = set()
    _add_with_headers(source, seen)
    return any("__SANITIZE_THREAD__" in path.read_text() for path in seen)


def _gcc(command, sanitizer, source, *more):
    """What gcc says to a source with a command's flags; None where it takes it."""
    arguments = command["arguments"]
    # A target's own flags come after the sanitizer's: they may switch it off.
    run = subprocess.run(
        [arguments[0], sanitizer, *arguments[1:arguments.index("-c")], "-O0", "-w",
         "-MF", "/dev/null", *more, source],
        cwd=_ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return (run.stdout or f"{source}: failed") if run.returncode else None


def _precompile(commands):
    """Writes common.h, of the headers from elsewhere that many of the sources include.

    Precompiled for both sanitizers, it halves the time. For a source whose flags
    are others gcc reads common.h itself.
    """
    outside = {c["file"]: {n for n in _includes(pathlib.Path(c["file"])) if not _in_tree(n)}
               for c in commands}
    count = collections.Counter(name for names in outside.values() for name in names)
    common = {name for name in count if 8 * count[name] > len(commands)}
    shutil.rmtree(_CACHE, ignore_errors=True)
    (_CACHE / "common.h.gch").mkdir(parents=True)
    header = _CACHE / "common.h"
    header.write_text("".join(f"#include {name}\n" for name in sorted(common)))
    # Its target depends on most of them.
    command = max(commands, key=lambda c: len(common & outside[c["file"]]))
    for sanitizer in _UBSAN_ASAN, _TSAN:
        _gcc(command, sanitizer, header, "-x", "c++-header",
             "-o", _CACHE / "common.h.gch" / sanitizer)


def main():
    wanted = {str(_ROOT / name) for name in sys.argv[1:]}
    commands = [c for c in json.loads((_ROOT / "compile_commands.json").read_text())
                if c["file"] in wanted]
    if not commands:
        sys.exit("compile_commands.json has none of these files")
    _precompile(commands)

    def check(sanitizer, command):
        return _gcc(command, sanitizer, command["file"], "-fsyntax-only",
                    "-include", _CACHE / "common.h")

    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [pool.submit(check, _UBSAN_ASAN, c) for c in commands]
        runs += [pool.submit(check, _TSAN, c) for c in commands
                 if _looks_at_tsan(pathlib.Path(c["file"]))]
        for run in runs:
            if run.result():
                bad += 1
                print(run.result(), flush=True)
    print(f"{len(commands)} sources, {len(runs) - len(commands)} of them under TSan too, {bad} refused")
    sys.exit(1 if bad else 0)


main()
