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
from measure import MIB

sys.path.append(os.path.join(measure.ROOT, "bench"))
import plot  # noqa: E402

SHAPES = ["uniform", "zipf", "few", "distinct", "equal", "half"]
FACTORS = [0.25, 0.5, 0.9, 1.5, 2, 4, 8, 16, 32]


def measure_shape(args, folder, shape):
    """Points for one shape: medians of rounds, in each of which all sizes have a turn."""
    runs, rows, expected = {}, {}, {}
    for factor in args.factors:
        rows[factor] = int(measure.size_bytes(args.memory) * factor / args.row_bytes)
        path = folder.file(f"{factor:g}.tsv")
        measure.generate(args, path, rows=rows[factor], shape=shape, row_bytes=args.row_bytes)
        expected[factor] = measure.digest(args, path)
    for turn in range(args.rounds):
        for factor in args.factors:
            run = measure.group_by(args, folder, folder.file(f"{factor:g}.tsv"), args.memory)
            if turn == 0:
                measure.check_output(args, folder, expected[factor])
            if run.stat("spilled") is None:
                raise measure.Failed("the program's --stats say nothing of `spilled`")
            runs.setdefault(factor, []).append(run)
    for factor in args.factors:
        os.remove(folder.file(f"{factor:g}.tsv"))
    return [{"shape": shape, "factor": factor, "rows": rows[factor],
             "bytes": rows[factor] * args.row_bytes,
             "ns_per_row": measure.median(runs[factor], "seconds") / rows[factor] * 1e9,
             "cpu_ns_per_row": measure.median(runs[factor], "cpu") / rows[factor] * 1e9,
             "spilled_bytes": runs[factor][-1].stat("spilled"),
             "resident_bytes": max(run.resident for run in runs[factor])}
            for factor in args.factors]


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
        points = {p["factor"]: p for p in found["points"] if p["shape"] == shape}
        if 0.9 in points and 8 in points:
            time, cpu = (points[8][what] / points[0.9][what]
                         for what in ["ns_per_row", "cpu_ns_per_row"])
            print(f"{shape}: a row at 8 x costs {time:.2f} x the time of one at 0.9 x, "
                  f"{cpu:.2f} x the processor time")


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
                try:
                    found["points"] += measure_shape(args, folder, shape)
                except measure.Failed as failed:
                    sys.exit(f"curve.py: {shape}: {failed}")
                print(shape, file=sys.stderr)
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
