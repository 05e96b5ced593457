// Drives a cluster with one npm client, as an application would, from one seed node:
//   node resp_cluster_clients.js CLIENT HOST:PORT works COUNT
//   node resp_cluster_clients.js CLIENT HOST:PORT fills|outage COUNT
// CLIENT is a package's name in node_modules, ioredis... or redis....
// `works` counts in 200 keys, and writes and reads others, COUNT times each at least
// and until its input ends; then every counter has to be exact. It says "working" once
// it has begun. `fills` sets COUNT keys. `outage` reads them while one node of three is
// gone, says "down" and how many were read, and reads all of them again, of which none
// may fail, from when its input ends: the first pass begins with a line of input.
// Ends with exit code 0, or with the first error. Commands that the package redis has under
// way when it drops the connection to a node that left fail in it, whatever their
// outcome; they are counted, and counters may be off by so many.

const assert = require('assert');

const [client, address, mode, countText] = process.argv.slice(2);
const [host, portText] = address.split(':');
const seed = {host, port: Number(portText)};
const count = Number(countText);
const kWorkers = 16;
const kCounters = 200;

let events = 0;  // errors of single connections, which the client sees to itself
let firstEvent = '';

function noteEvent(error) {
  if (events++ === 0) firstEvent = String(error);
}

// The few differences between the two families.
async function connect() {
  if (client.startsWith('ioredis')) {
    const exported = require(client);
    const {Cluster} = exported.Redis ? exported : exported.default || exported;
    const cluster = new Cluster([seed], {lazyConnect: true});
    cluster.on('error', noteEvent);
    cluster.on('node error', noteEvent);
    await cluster.connect();
    return {
      incr: (key) => cluster.incr(key),
      get: (key) => cluster.get(key),
      set: (key, value) => cluster.set(key, value),
      mget: (keys) => cluster.mget(keys),
      del: (keys) => cluster.del(keys),
      nodes: () => cluster.nodes('master').length,
      quit: () => cluster.quit(),
    };
  }
  const {createCluster} = require(client);
  const cluster = createCluster({rootNodes: [{url: `redis://${address}`}]});
  cluster.on('error', noteEvent);
  cluster.on('node-error', noteEvent);
  await cluster.connect();
  return {
    incr: (key) => cluster.incr(key),
    get: (key) => cluster.get(key),
    set: (key, value) => cluster.set(key, value),
    mget: (keys) => cluster.mGet(keys),
    del: (keys) => cluster.del(keys),
    nodes: () => cluster.masters.length,
    quit: () => (cluster.close ? cluster.close() : cluster.quit()),
  };
}

let inputEnded = false;
const firstInput = new Promise((resolve) => process.stdin.once('data', resolve));
const endOfInput = new Promise((resolve) => {
  process.stdin.on('end', () => { inputEnded = true; resolve(); }).resume();
});

let dropped = 0;  // by the client itself, see above

// Calls until it is not dropped; `onDropped` is told of each time.
async function persist(call, onDropped = () => {}) {
  while (true) {
    try {
      return await call();
    } catch (error) {
      if (!client.startsWith('redis') || error.constructor.name !== 'DisconnectsClientError') {
        throw error;
      }
      ++dropped;
      onDropped();
    }
  }
}

async function works(cluster) {
  const counts = Array(kCounters).fill(0);
  const unknown = Array(kCounters).fill(0);
  let next = 0;
  let mostNodes = 0;
  async function work(me) {
    while (next < count || !inputEnded) {
      const i = next++;
      const counter = i % kCounters;
      await persist(() => cluster.incr(`counter:${counter}`), () => ++unknown[counter]);
      ++counts[counter];
      // Two workers never have the same pair.
      const pair = `pair:${i % 5000}:${me}`;
      await persist(() => cluster.set(pair, `value ${i}`));
      assert.strictEqual(await persist(() => cluster.get(pair)), `value ${i}`);
      if (i % 10 === 0) {
        const [a, b] = [`{tag:${i}}:a`, `{tag:${i}}:b`];
        await persist(() => cluster.set(a, `a ${i}`));
        await persist(() => cluster.set(b, `b ${i}`));
        assert.deepStrictEqual(await persist(() => cluster.mget([a, b])), [`a ${i}`, `b ${i}`]);
        let was_dropped = false;
        const deleted = await persist(() => cluster.del([a, b]), () => { was_dropped = true; });
        assert(deleted === 2 || was_dropped, `${deleted} deleted`);
      }
      mostNodes = Math.max(mostNodes, cluster.nodes());
    }
  }
  const workers = Array.from({length: kWorkers}, (_, me) => work(me));
  console.log('working');
  await Promise.all(workers);
  for (let k = 0; k < kCounters; ++k) {
    const more = Number(await persist(() => cluster.get(`counter:${k}`))) - counts[k];
    assert(more >= 0 && more <= unknown[k], `counter:${k}: ${more} more than were counted`);
  }
  assert.strictEqual(counts.reduce((a, b) => a + b), next);
  console.log(`${next} increments, ${next} pairs, ${mostNodes} nodes at most, ` +
              `${dropped} dropped, ${events} events of connections ${firstEvent}`);
}

async function fills(cluster) {
  for (let i = 0; i < count; ++i) await cluster.set(`key:${i}`, `value ${i}`);
}

async function outage(cluster) {
  let read = 0;
  const errors = {};
  assert.strictEqual(await cluster.get('key:0'), 'value 0');
  console.log('working');
  await firstInput;
  await Promise.all(Array.from({length: count}, async (_, i) => {
    try {
      // Some versions of the package redis wait without an end for the node to come back.
      const patience = new Promise((_, reject) => {
        setTimeout(() => reject(new Error('no answer in 8 s')), 8000).unref();
      });
      const value = await Promise.race([cluster.get(`key:${i}`), patience]);
      assert.strictEqual(value, `value ${i}`);
      ++read;
    } catch (error) {
      const text = error.lastNodeError ? `${error.message} ${error.lastNodeError.message}`
                                       : error.message || error.constructor.name;
      errors[text] = (errors[text] || 0) + 1;
    }
  }));
  console.log(`down ${read} ${JSON.stringify(errors)}`);
  await endOfInput;
  for (let i = 0; i < count; ++i) {
    assert.strictEqual(await cluster.get(`key:${i}`), `value ${i}`);
  }
  console.log(`${count} read, ${events} events of connections ${firstEvent}`);
}

async function main() {
  const cluster = await connect();
  await {works, fills, outage}[mode](cluster);
  await cluster.quit();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
