#!/usr/bin/env python3
"""Writes a data file, lines of `<uuid v4> <value>`, to standard output.

  make_data.py                                           what example.data holds
  make_data.py --records=1000000 --value_bytes=64        to measure with
  make_data.py --records=1000 --repeat=0.01 --seed=7     1 % of the keys again

The same arguments give the same bytes. About 1 million records in 3 s; the
benchmarks make their own data, faster.
"""

import argparse
import random
import sys

# What values look like in the wild: separators of other formats, other
# scripts, leading and trailing spaces, nothing at all.
_SAMPLES = [
    lambda r: "%s %s" % (r.choice(_FIRST), r.choice(_LAST)),
    lambda r: "%s,%s,%d" % (r.choice(_FIRST), r.choice(_CITIES), r.randrange(18, 90)),
    lambda r: "%s\t%s\t%.2f" % (r.choice(_CITIES), r.choice(_GOODS), r.uniform(1, 999)),
    lambda r: '{"name":"%s","tags":["%s","%s"],"stock":%d}'
              % (r.choice(_GOODS), r.choice(_CITIES), r.choice(_LAST), r.randrange(1000)),
    lambda r: "https://example.com/%s?id=%d&q=%s" % (r.choice(_LAST), r.randrange(10**6), "a%20b"),
    lambda r: "%s  →  %s" % (r.choice(_CITIES), r.choice(_CITIES)),
    lambda r: " %s, with a space at each end " % r.choice(_GOODS),
    lambda r: "%d" % r.randrange(10**12),
    lambda r: "".join(r.choice("0123456789abcdef") for _ in range(r.choice([8, 40, 200]))),
    lambda r: "",
]
_FIRST = ["Ada", "Björn", "Chloé", "Dmitri", "Ève", "François", "Gökçe", "Håkan", "陽子", "Ōta"]
_LAST = ["Ångström", "Brontë", "Čapek", "Dvořák", "Erdős", "Gödel", "Hölder", "Łukasiewicz"]
_CITIES = ["Århus", "Brno", "Genève", "København", "Łódź", "München", "東京", "São Paulo", "Αθήνα"]
_GOODS = ["quartz", "smoky quartz", "citrine, cut", "rose quartz", "ametist", "bergkristall"]


def _uuid4(r):
    bits = r.getrandbits(128)
    bits = bits & ~(0xF000 << 64) | (0x4000 << 64)
    bits = bits & ~(0xC000 << 48) | (0x8000 << 48)
    h = "%032x" % bits
    return "%s-%s-%s-%s-%s" % (h[:8], h[8:12], h[12:16], h[16:20], h[20:])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--value_bytes", type=int,
                        help="each value has that many bytes, of hex digits")
    parser.add_argument("--repeat", type=float, default=0,
                        help="the share of lines whose key came before")
    options = parser.parse_args()

    r = random.Random(options.seed)
    keys = []
    for i in range(options.records):
        if keys and r.random() < options.repeat:
            key = r.choice(keys)
        else:
            key = _uuid4(r)
            if options.repeat:
                keys.append(key)
        if options.value_bytes is None:
            value = _SAMPLES[i % len(_SAMPLES)](r)
        else:
            value = "%0*x" % (options.value_bytes, r.getrandbits(4 * options.value_bytes)) \
                if options.value_bytes else ""
        sys.stdout.buffer.write(("%s %s\n" % (key, value)).encode())


main()
