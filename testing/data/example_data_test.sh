#!/bin/sh
# example.data is what its generator makes, on whatever Python runs it.
set -eu
cd testing/data
python3 ./make_data.py | cmp - example.data
# 400 different keys of the form of a UUID v4, and one space behind each.
keys=$(grep -cE '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12} ' example.data)
[ "$keys" = 400 ]
[ "$(cut -c1-36 example.data | sort -u | wc -l)" = 400 ]
