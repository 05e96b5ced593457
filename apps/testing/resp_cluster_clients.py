"""Drives a cluster with redis-py's RedisCluster, as an application would.

  python3 resp_cluster_clients.py HOST:PORT COUNT

From one seed node; ends with exit code 3 where there is no redis-py. Four threads
count in 200 keys, and write and read others, COUNT times each at least and until
the input ends; then every counter has to be exact. Says "working" once it has begun.
"""

import sys
import threading
import traceback

try:
    import redis
    from redis.cluster import RedisCluster
except ImportError as error:
    print(f"no redis-py: {error}")
    sys.exit(3)

THREADS = 4
COUNTERS = 200


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    count = int(sys.argv[2])
    clusters = [
        RedisCluster(host=host, port=int(port), decode_responses=True)
        for _ in range(THREADS)
    ]
    input_ended = threading.Event()

    def read_input():
        sys.stdin.read()
        input_ended.set()

    threading.Thread(target=read_input, daemon=True).start()
    counts = [[0] * COUNTERS for _ in range(THREADS)]
    most_nodes = [0] * THREADS
    failures = []

    def work(t):
        cluster = clusters[t]
        i = 0
        try:
            while i < count // THREADS or not input_ended.is_set():
                counter = i % COUNTERS
                cluster.incr(f"counter:{counter}")
                counts[t][counter] += 1
                key = f"pair:{t}:{i % 5000}"
                cluster.set(key, f"value {i}")
                value = cluster.get(key)
                assert value == f"value {i}", f"{key}: {value} where {i} was written"
                most_nodes[t] = max(most_nodes[t], len(cluster.get_primaries()))
                i += 1
        except Exception:  # pylint: disable=broad-except
            failures.append(f"thread {t} at {i}: {traceback.format_exc()}")

    threads = [threading.Thread(target=work, args=(t,)) for t in range(THREADS)]
    for thread in threads:
        thread.start()
    print("working", flush=True)
    for thread in threads:
        thread.join()
    if failures:
        print("\n".join(failures), file=sys.stderr)
        sys.exit(1)
    for counter in range(COUNTERS):
        expected = sum(of_thread[counter] for of_thread in counts)
        value = int(clusters[0].get(f"counter:{counter}"))
        assert value == expected, f"counter:{counter} is {value}, not {expected}"
    total = sum(map(sum, counts))
    print(
        f"redis-py {redis.__version__}: {total} increments exact, {total} pairs right, "
        f"{max(most_nodes)} nodes at most"
    )


main()
