// Holds kvarts_http.mjs against a Map: node check.mjs HOST:PORT [OPERATIONS [SEED]].
// Prints how many operations agreed; an assertion that fails is the end.

import assert from "node:assert/strict";

import {Client, KvartsError} from "./kvarts_http.mjs";

const [address, operations = "500", seed = "1"] = process.argv.slice(2);

// xorshift32: the same steps for a seed.
let state = Number(seed) * 2654435761 >>> 0 || 1;
function below(n) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  state >>>= 0;
  return state % n;
}
const bytes = (n) => Buffer.from(Array.from({length: n}, () => below(256)));

function keyOf() {
  const kind = below(8);
  if (kind === 0) {
    const odd = ["", ".", "..", "/", "a//b", "%", "+", "?x=1", "#", "\0"];
    return Buffer.from(odd[below(odd.length)]);
  }
  return kind === 1 ? bytes(below(6)) : Buffer.from(`key/${below(40)}`);
}
function valueOf() {
  if (below(10) === 0) return bytes(below(100000));
  const some = ["", "text", "\0\xff", "\n".repeat(50), "café"];
  return Buffer.from(some[below(some.length)]);
}

// Keys as latin1, whose order is that of the bytes.
const model = new Map();
const name = (key) => key.toString("latin1");
const sorted = () => [...model].sort(([a], [b]) => a < b ? -1 : 1);
const inRange = (start, end) => sorted().filter(([k]) => k >= name(start) && k < name(end));
async function collect(scan) {
  const entries = [];
  for await (const [key, value] of scan) entries.push([name(key), value]);
  return entries;
}
const ordered = () => [keyOf(), keyOf()].sort(Buffer.compare);

async function step(client) {
  const [key, value] = [keyOf(), valueOf()];
  switch (below(8)) {
    case 0:
    case 1:
      assert.equal(await client.put(key, value), !model.has(name(key)));
      model.set(name(key), value);
      break;
    case 2:
      assert.equal(await client.delete(key), model.delete(name(key)));
      break;
    case 3: {
      const keys = Array.from({length: 20}, keyOf);
      assert.deepEqual(await client.getMany(keys), keys.map((k) => model.get(name(k)) ?? null));
      assert.deepEqual((await client.get(key))?.value, model.get(name(key)));
      break;
    }
    case 4: {
      const puts = new Map(Array.from({length: 5}, () => [name(keyOf()), valueOf()]));
      const asBytes = (k) => Buffer.from(k, "latin1");
      const gone = [key].filter((k) => !puts.has(name(k)));
      await client.writeMany([...puts].map(([k, v]) => [asBytes(k), v]), gone);
      for (const [k, v] of puts) model.set(k, v);
      for (const k of gone) model.delete(name(k));
      break;
    }
    case 5: {
      const [start, end] = ordered();
      if (end.length === 0) break;
      const expected = inRange(start, end);
      const backward = below(2) === 0;
      if (backward) expected.reverse();
      assert.deepEqual(await collect(client.scan({start, end, backward, limit: 7})), expected);
      if (below(4) === 0) {
        await client.deleteRange(start, end);
        for (const [k] of expected) model.delete(k);
      }
      break;
    }
    case 6: {
      const found = await client.get(key);
      try {
        await client.put(key, value, {ifMatch: found?.etag ?? '"none"'});
        assert.ok(found);
        model.set(name(key), value);
      } catch (error) {
        assert.ok(error instanceof KvartsError && error.code === "precondition_failed", error);
        assert.equal(found, null);
      }
      break;
    }
    default: {
      const snapshot = await client.snapshot();
      const before = sorted();
      await client.put(key, value);
      model.set(name(key), value);
      assert.deepEqual(await collect(client.scan({snapshot, limit: 11})), before);
      await client.release(snapshot);
    }
  }
}

const client = new Client(`http://${address}`);
await client.deleteRange(Buffer.alloc(0), Buffer.alloc(10, 255));
for (let i = 0; i < Number(operations); ++i) await step(client);
assert.deepEqual(await collect(client.scan()), sorted());
console.log(`${operations} operations agree`);
