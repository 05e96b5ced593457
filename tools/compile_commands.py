#!/usr/bin/env python3
"""Writes compile_commands.json for clangd and clang-tidy, from `bazel aquery`.

Usage: tools/compile_commands.py [target pattern...]. Generated headers exist
only after a build: run `bazel build //...` first.
"""

import json
import pathlib
import subprocess
import sys

# GCC's own, which clang rejects.
_DROP = {"-fno-canonical-system-headers", "-Wno-free-nonheap-object",
         "-Wunused-but-set-parameter"}


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    targets = " + ".join(sys.argv[1:] or ["//..."])
    query = subprocess.run(
        [str(root / "bazelw"), "aquery", "--noshow_progress", "--ui_event_filters=-info",
         "--output=jsonproto", f'mnemonic("CppCompile", {targets})'],
        cwd=root, check=True, stdout=subprocess.PIPE)
    commands = {}
    for action in json.loads(query.stdout)["actions"]:
        arguments = [a for a in action["arguments"] if a not in _DROP]
        source = arguments[arguments.index("-c") + 1]
        if source.startswith(("bazel-out/", "external/")):
            continue
        commands[source] = {
            "directory": str(root),
            "file": str(root / source),
            "arguments": arguments,
        }
    path = root / "compile_commands.json"
    path.write_text(json.dumps([commands[s] for s in sorted(commands)], indent=1) + "\n")
    print(f"{path}: {len(commands)} files")


main()
