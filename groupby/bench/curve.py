#!/usr/bin/env python3
"""What group_by costs a row as the input outgrows the memory: time, spilled bytes and
resident memory, for each shape of keys, from a quarter of the budget to 32 times it.

    ./bazelw build //apps:group_by //groupby/bench/... && groupby/bench/curve.py

Writes docs/images/groupby_curve.json and .svg; --plot_only draws the one from the other.
"""

import argparse
import json
import os
import sys

import measure
import plot
from measure import MIB

SHAPES = ["uniform", "zipf", "few", "distinct", "equal", "half"]
FACTORS = [0.25, 0.5, 0.9, 1.5, 2, 4, 8, 16, 32]


def point(args, folder, shape, factor):
    """Medians for one input, whose bytes are `factor` times the budget."""
    rows = int(measure.size_bytes(args.memory) * factor / args.row_bytes)
    path = folder.file("rows.tsv")
    measure.generate(args, path, rows=rows, shape=shape, row_bytes=args.row_bytes)
    expected = measure.digest(args, path)
    runs = []
    for turn in range(args.rounds):
        runs.append(measure.group_by(args, folder, path, args.memory))
        if turn == 0:
            measure.check_output(args, folder, expected)
    os.remove(path)
    spilled = runs[-1].stat("spilled")
    if spilled is None:
        raise measure.Failed("the program's --stats say nothing of `spilled`")
    return {"shape": shape, "factor": factor, "rows": rows, "bytes": rows * args.row_bytes,
            "ns_per_row": measure.median(runs, "seconds") / rows * 1e9,
            "cpu_ns_per_row": measure.median(runs, "cpu") / rows * 1e9,
            "spilled_bytes": spilled, "resident_bytes": max(run.resident for run in runs)}


def draw(found):
    def series(value):
        return {shape: [(p["factor"], value(p)) for p in found["points"] if p["shape"] == shape]
                for shape in dict.fromkeys(p["shape"] for p in found["points"])}

    budget = measure.size_bytes(found["memory"])
    x_title = "input ÷ memory budget"
    return plot.svg(
        "group_by: what a row costs as the input outgrows the memory",
        f"budget {budget // MIB} MiB, rows of {found['row_bytes']} bytes, text in to text out, "
        f"{found['threads']} threads; keys:",
        plot.Panel("time, ns a row", series(lambda p: p["ns_per_row"]), x_title=x_title),
        [plot.Panel("spilled bytes ÷ bytes of input",
                    series(lambda p: p["spilled_bytes"] / p["bytes"]), x_title=x_title),
         plot.Panel("resident memory, MiB", series(lambda p: p["resident_bytes"] / MIB),
                    limits=[(budget / MIB + 48, "budget + 48 MiB")], x_title=x_title)])


def print_table(found):
    print(f"{'keys':9} {'x budget':>8} {'rows':>10} {'ns a row':>9} {'CPU ns':>7} "
          f"{'spilled':>8} {'MiB':>6}")
    for p in found["points"]:
        print(f"{p['shape']:9} {p['factor']:8g} {p['rows']:10} {p['ns_per_row']:9.1f} "
              f"{p['cpu_ns_per_row']:7.1f} {p['spilled_bytes'] / p['bytes']:8.3f} "
              f"{p['resident_bytes'] / MIB:6.0f}")
    for shape in dict.fromkeys(p["shape"] for p in found["points"]):
        costs = {p["factor"]: p["ns_per_row"] for p in found["points"] if p["shape"] == shape}
        if 0.9 in costs and 8 in costs:
            print(f"{shape}: a row at 8 x costs {costs[8] / costs[0.9]:.2f} x one at 0.9 x")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    measure.add_flags(parser)
    parser.add_argument("--memory", default="64MiB")
    parser.add_argument("--row_bytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapes", default=SHAPES, type=lambda text: text.split(","))
    parser.add_argument("--factors", default=FACTORS,
                        type=lambda text: [float(x) for x in text.split(",")])
    parser.add_argument("--output", default=os.path.join(measure.ROOT, "docs/images/groupby_curve"),
                        help="of the files, without .json and .svg (%(default)s)")
    parser.add_argument("--plot_only", action="store_true")
    args = parser.parse_args()
    if not args.plot_only:
        measure.check_programs(args)
        found = {"memory": args.memory, "row_bytes": args.row_bytes, "threads": args.threads,
                 "rounds": args.rounds, "points": []}
        with measure.Folder(args.dir) as folder:
            for shape in args.shapes:
                for factor in args.factors:
                    try:
                        found["points"].append(point(args, folder, shape, factor))
                    except measure.Failed as failed:
                        sys.exit(f"curve.py: {shape}, {factor:g} x the budget: {failed}")
                    print(f"{shape} {factor:g}", file=sys.stderr)
        with open(args.output + ".json", "w") as out:
            json.dump(found, out, indent=1)
            out.write("\n")
    with open(args.output + ".json") as source:
        found = json.load(source)
    with open(args.output + ".svg", "w") as out:
        out.write(draw(found))
    print_table(found)


if __name__ == "__main__":
    main()
