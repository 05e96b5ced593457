#!/usr/bin/env bash
# serve_memory_test.sh PROGRAM SOURCE README: the program serves RESP, and is the one that README.md
# shows.
set -euo pipefail

python3 - "$2" "$3" <<'END'
import sys
source, readme = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
if f"```cpp\n{source}```\n" not in readme:
    sys.exit(f"{sys.argv[2]}: has not the text of {sys.argv[1]}")
END

exec 4< <(exec "$1" tcp://127.0.0.1:0)
program=$!
trap 'kill "$program"' EXIT
read -r address <&4
exec 3<>"/dev/tcp/127.0.0.1/${address##*:}"
printf 'SET greeting hello\r\nGET greeting\r\nINCRBY n 41\r\nINCR n\r\nQUIT\r\n' >&3
answers=$(tr -d '\r' <&3)
[ "$answers" = $'+OK\n$5\nhello\n:41\n:42\n+OK' ] || { echo "answered: $answers"; exit 1; }
