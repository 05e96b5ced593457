"""Holds kvarts_http.py against a dictionary: check.py HOST:PORT [OPERATIONS [SEED]].

Prints how many operations agreed; an assertion that fails is the end.
"""

import random
import sys

import kvarts_http


def key_of(rng):
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice([b"", b".", b"..", b"/", b"a//b", b"%", b"+", b"?x=1", b"#", b"\x00"])
    if kind == 1:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(6)))
    return b"key/%d" % rng.randrange(40)


def value_of(rng):
    if rng.randrange(10) == 0:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(100000)))
    return rng.choice([b"", b"text", b"\xff\x00", b"\n" * 50, b"caf\xc3\xa9", b"%d" % rng.random()])


def in_range(model, start, end):
    return {k: v for k, v in model.items() if start <= k < end}


def step(client, model, rng):
    what = rng.randrange(9)
    key, value = key_of(rng), value_of(rng)
    if what <= 1:
        assert client.put(key, value) == (key not in model), key
        model[key] = value
    elif what == 2:
        assert client.delete(key) == (key in model), key
        model.pop(key, None)
    elif what == 3:
        found = client.get(key)
        assert (found.value if found else None) == model.get(key), key
    elif what == 4:
        keys = [key_of(rng) for _ in range(20)]
        assert client.get_many(keys) == [model.get(k) for k in keys], keys
    elif what == 5:
        puts = {key_of(rng): value_of(rng) for _ in range(5)}
        deletes = [k for k in (key_of(rng) for _ in range(3)) if k not in puts]
        client.write_many(puts, deletes)
        model.update(puts)
        for k in deletes:
            model.pop(k, None)
    elif what == 6:
        start, end = sorted([key_of(rng), key_of(rng)])
        backward = rng.random() < 0.5
        expected = sorted(in_range(model, start, end).items(), reverse=backward)
        found = client.scan(start=start, end=end or None, backward=backward, limit=7)
        if end:
            assert list(found) == expected, (start, end)
    elif what == 7:
        if rng.randrange(4) == 0:
            start, end = sorted([key_of(rng), key_of(rng)])
            if end:
                client.delete_range(start, end)
                for k in in_range(model, start, end):
                    del model[k]
        else:
            found = client.get(key)
            try:
                client.put(key, value, if_match=found.etag if found else '"none"')
                assert found
                model[key] = value
            except kvarts_http.KvartsError as error:
                assert error.code == "precondition_failed" and not found, error
    else:
        snapshot = client.snapshot()
        before = sorted(model.items())
        client.put(key, value)
        model[key] = value
        assert list(client.scan(snapshot=snapshot, limit=11)) == before
        assert client.get_many([key], snapshot) == [dict(before).get(key)]
        client.release(snapshot)


def main():
    host, _, port = sys.argv[1].rpartition(":")
    operations = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    client = kvarts_http.Client(host, int(port))
    client.delete_range(b"", b"\xff" * 10)
    model = {}
    for _ in range(operations):
        step(client, model, rng)
    assert sorted(model.items()) == list(client.scan())
    client.close()
    print("%d operations agree" % operations)


if __name__ == "__main__":
    main()
