#!/usr/bin/env python3
"""Writes files into a C++ source, for net/http/asset.h.

embed.py --function=NAME [--packed_only] FILE...

The source defines NAME(), which returns an HttpAsset for each FILE: its name
without folders, its bytes (not with --packed_only), the same in gzip, and an
ETag. The same files always give the same source.
"""

import argparse
import gzip
import hashlib
import os
import sys

_SOURCE = """// Written by tools/embed.py. Do not edit.
#include "net/http/asset.h"

namespace kvarts {{
namespace {{
{strings}
constexpr HttpAsset kAssets[] = {{
{assets}    {{}},
}};
}}  // namespace

// The last one ends the list: an array has one element at least.
absl::Span<const HttpAsset> {function}() {{
  return absl::MakeConstSpan(kAssets, sizeof(kAssets) / sizeof(kAssets[0]) - 1);
}}

}}  // namespace kvarts
"""


def literal(data):
    """`data` as C++ string literals of some 100 bytes a line."""
    def one(byte):
        char = chr(byte)
        if char in '"\\?':
            return "\\" + char
        return char if 32 <= byte < 127 else "\\%03o" % byte
    table = [one(byte) for byte in range(256)]
    lines = []
    for i in range(0, len(data), 100):
        lines.append('"%s"' % "".join(table[byte] for byte in data[i:i + 100]))
    return "\n".join(lines) or '""'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--function", required=True)
    parser.add_argument("--packed_only", action="store_true")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    strings, assets = "", ""
    for i, path in enumerate(args.files):
        with open(path, "rb") as file:
            data = file.read()
        plain = b"" if args.packed_only else data
        packed = gzip.compress(data, 9, mtime=0)
        strings += "constexpr char kPlain%d[] =\n%s;\n" % (i, literal(plain))
        strings += "constexpr char kPacked%d[] =\n%s;\n" % (i, literal(packed))
        assets += '    {"%s", {kPlain%d, %d}, {kPacked%d, %d}, "\\"%s\\""},\n' % (
            os.path.basename(path), i, len(plain), i, len(packed),
            hashlib.sha256(data).hexdigest()[:16])
    sys.stdout.write(
        _SOURCE.format(strings=strings, assets=assets, function=args.function))


if __name__ == "__main__":
    main()
