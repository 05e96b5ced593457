#!/usr/bin/env python3
"""That group_by keeps to its memory, by the kernel's count of the process's resident
pages at their peak:

    ./bazelw build //apps:group_by //groupby/bench/... && groupby/bench/resident.py

- uniform: 20 M rows of 100 B (2 GB) in 448 MiB: at most 512 MiB
- equal: one group of 10 times the budget: at most the budget and 48 MiB
- half: the same, beside as many rows of other groups
- integers: 100 M pairs of integers in 64 MiB: at most 112 MiB

Exits 1 where one needs more, or an output is wrong. --scale=0.01 makes all of it, and
the budgets, smaller.
"""

import argparse
import os
import sys

import measure
from measure import MIB


def cases(scale):
    """Name, budget, limit, flags of generate."""
    def budget(mib):
        return max(int(mib * scale), 1) * MIB

    small, large, slack = budget(64), budget(448), 48 * MIB
    group = small * 10 // 100
    return [
        ("uniform", large, large + 64 * MIB, {"rows": int(2e7 * scale)}),
        ("equal", small, small + slack, {"rows": group, "shape": "equal"}),
        ("half", small, small + slack, {"rows": 2 * group, "shape": "half"}),
        ("integers", small, small + slack, {"rows": int(1e8 * scale), "integers": True}),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    measure.add_flags(parser)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--only", help="cases, by name and comma")
    args = parser.parse_args()
    measure.check_programs(args)
    worst = 0
    print(f"{'':9} {'rows':>10} {'MB':>6} {'budget':>7} {'resident MiB':>12} {'at most':>8} "
          f"{'s':>6} {'spilled MB':>10}")
    with measure.Folder(args.dir) as folder:
        for name, budget, limit, flags in cases(args.scale):
            if args.only and name not in args.only.split(","):
                continue
            path = folder.file("rows.tsv")
            measure.generate(args, path, **flags)
            try:
                expected = measure.digest(args, path)
                run = measure.group_by(args, folder, path, budget)
                measure.check_output(args, folder, expected)
            except measure.Failed as failed:
                print(f"{name:9} failed: {failed}")
                worst = 1
                continue
            verdict = "" if run.resident <= limit else "  TOO MUCH"
            worst |= run.resident > limit
            spilled = run.stat("spilled")
            print(f"{name:9} {flags['rows']:10} {os.path.getsize(path) / 1e6:6.0f} "
                  f"{budget // MIB:7} {run.resident / MIB:12.1f} {limit // MIB:8} "
                  f"{run.seconds:6.2f} {'' if spilled is None else f'{spilled / 1e6:.0f}':>10}"
                  f"{verdict}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
