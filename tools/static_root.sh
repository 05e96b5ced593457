#!/usr/bin/env bash
# static_root.sh: builds the programs with --config=static, and runs them in a root that has libc
# and nothing else, as on a machine without any of our packages. As root, or where users may have a
# root of their own (unshare --map-root-user).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

programs=(kv_server kv_client kv_repl kv_build kv_bench kv_node kv_cluster group_by)
./bazelw build --config=static "${programs[@]/#///apps:}"

root=$(mktemp -d)
server=
finish() {
  # It has files in there until it has ended.
  if [ -n "$server" ]; then kill "$server" && wait "$server"; fi || true
  rm -rf "$root"
}
trap finish EXIT
enter=(chroot)
[ "$(id -u)" = 0 ] || enter=(unshare --map-root-user chroot)

libraries=lib/x86_64-linux-gnu
mkdir -p "$root/lib64" "$root/$libraries" "$root/tmp" "$root/dev"
: >"$root/dev/null"
# libc, as Debian's package libc6 has it.
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
cp -L "/$libraries"/lib{c.so.6,m.so.6,pthread.so.0,dl.so.2,rt.so.1,resolv.so.2} "$root/$libraries/"
for program in "${programs[@]}"; do
  cp "bazel-bin/apps/$program" "$root/$program"
  "${enter[@]}" "$root" "/$program" --version
done

printf 'store greeting hello\nget greeting\nflush\nverify\n' |
  "${enter[@]}" "$root" /kv_repl --store=sstable:/tmp/db
coproc SERVER { exec "${enter[@]}" "$root" /kv_server --store=sstable:/tmp/db --listen=127.0.0.1:0 \
  --resp=127.0.0.1:0 --http=127.0.0.1:0; }
server=$SERVER_PID
read -r ready <&"${SERVER[0]}"
echo "$ready"
native=${ready#*native=}
native=${native%% *}
"${enter[@]}" "$root" /kv_client --store="$native" put greeting again
[ "$("${enter[@]}" "$root" /kv_client --store="$native" get greeting)" = again ]
printf 'b\t1\na\t2\nb\t3\n' | "${enter[@]}" "$root" /group_by --order=key
