#!/usr/bin/env python3
"""Draws what `placements --json` has measured, from its output on stdin, to a file.

    ./bazelw build -c opt //cluster/bench:placements
    bazel-bin/cluster/bench/placements --json --keys=1000000 --seeds=4 \\
        --nodes=3,4,6,8,12,16,24,32 | cluster/bench/plot_placements.py placements.svg
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench"))
import plot  # noqa: E402


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: placements --json ... | plot_placements.py FILE.svg")
    results = json.load(sys.stdin)

    def panel(title, value):
        series = {}
        for result in results:
            series.setdefault(result["scheme"], []).append((result["nodes"], value(result)))
        return plot.Panel(title, series, x_title="nodes")

    with open(sys.argv[1], "w") as out:
        out.write(
            plot.svg(
                "Ways to give keys to nodes",
                "means of four sets of a million UUIDs; slots are what this cluster has",
                panel(
                    "heaviest node above an even part, %", lambda r: (r["mean_skew"] - 1) * 100
                ),
                [
                    panel("moved as the last one comes, in even parts", lambda r: r["moved"]),
                    panel(
                        "of all keys, moved between old nodes, %",
                        lambda r: r["moved_between_old"] * 100,
                    ),
                ],
            )
        )


if __name__ == "__main__":
    main()
