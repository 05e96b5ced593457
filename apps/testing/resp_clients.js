// Drives a server with one npm client, as an application would:
//   node resp_clients.js CLIENT PROTOCOL HOST:PORT reads|writes [COUNT]
// CLIENT is a package's name in node_modules, ioredis... or redis...; PROTOCOL 2
// or 3. With `reads`, the server has COUNT keys (1000), key:0 and so on, whose
// values are "value N", and takes no writes; with `writes` it is empty and does.
// RESP_PASSWORD is the server's. Ends with exit code 0, or with the first difference.

const assert = require('assert');

const [client, protocolText, address, mode, countText] = process.argv.slice(2);
const protocol = Number(protocolText);
const [host, portText] = address.split(':');
const port = Number(portText);
const password = process.env.RESP_PASSWORD;
const count = Number(countText || 1000);
const keys = Array.from({length: count}, (_, i) => `key:${i}`);

async function expectError(promise, pattern) {
  await assert.rejects(promise, (error) => pattern.test(error.message) || assert.fail(error));
}

// The few differences between the two families.
async function connect() {
  if (client.startsWith('ioredis')) {
    const exported = require(client);
    const Redis = exported.Redis || exported.default || exported;
    const options = {host, port, password, lazyConnect: true, maxRetriesPerRequest: 0};
    if (client !== 'ioredis5') options.protocol = protocol;
    const redis = new Redis(options);
    redis.on('error', (error) => { throw error; });
    await redis.connect();
    return {
      raw: (...args) => redis.call(...args),
      get: (key) => redis.get(key),
      getBuffer: (key) => redis.getBuffer(key),
      mget: (list) => redis.mget(list),
      set: (...args) => redis.set(...args),
      pipeline: async (list) => {
        const pipeline = redis.pipeline();
        for (const key of list) pipeline.get(key);
        return (await pipeline.exec()).map(([error, value]) => { assert(!error); return value; });
      },
      scan: async (match) => {
        const found = [];
        for await (const some of redis.scanStream({match, count: 9})) found.push(...some);
        return found;
      },
      quit: () => redis.quit(),
    };
  }
  const {createClient} = require(client);
  const options = {password, socket: {host, port, reconnectStrategy: false}};
  if (client !== 'redis4') options.RESP = protocol;
  const redis = createClient(options);
  redis.on('error', (error) => { throw error; });
  await redis.connect();
  return {
    raw: (...args) => redis.sendCommand(args.map(String)),
    get: (key) => redis.get(key),
    getBuffer: async (key) => {
      if (client === 'redis4') {
        const {commandOptions} = require(client);
        return redis.get(commandOptions({returnBuffers: true}), key);
      }
      return redis.withTypeMapping({36: Buffer}).get(key);  // 36 is "$"
    },
    mget: (list) => redis.mGet(list),
    set: (key, value, ...rest) => redis.sendCommand(['SET', key, value, ...rest.map(String)]),
    pipeline: (list) => Promise.all(list.map((key) => redis.get(key))),
    scan: async (match) => {
      const found = [];
      for await (const some of redis.scanIterator({MATCH: match, COUNT: 9})) {
        found.push(...(Array.isArray(some) ? some : [some]));
      }
      return found;
    },
    quit: () => redis.quit(),
  };
}

async function reads(redis) {
  assert.strictEqual(await redis.raw('PING'), 'PONG');
  assert.strictEqual(await redis.get('key:7'), 'value 7');
  assert.strictEqual(await redis.get('none'), null);
  assert.deepStrictEqual(await redis.getBuffer('key:7'), Buffer.from('value 7'));
  assert.deepStrictEqual(await redis.mget(['key:1', 'none', 'key:2']),
                         ['value 1', null, 'value 2']);
  assert.deepStrictEqual(await redis.pipeline(keys), keys.map((key) => `value ${key.slice(4)}`));
  assert.deepStrictEqual((await redis.scan('*')).sort(), [...keys].sort());
  assert.deepStrictEqual((await redis.scan('key:1?')).sort(),
                         keys.filter((key) => /^key:1.$/.test(key)).sort());
  assert.strictEqual(Number(await redis.raw('DBSIZE')), count);
  assert.strictEqual(Number(await redis.raw('EXISTS', 'key:1', 'none')), 1);
  assert.strictEqual(Number(await redis.raw('TTL', 'key:1')), -1);
  assert.match(String(await redis.raw('INFO')), /redis_version:/);
  await expectError(redis.set('key:1', 'x'), /^READONLY /);
  await expectError(redis.raw('NONSENSE'), /^ERR unknown command/);
  assert.strictEqual(await redis.get(keys[count - 1]), `value ${count - 1}`);
}

async function writes(redis) {
  await redis.raw('FLUSHALL');
  assert.strictEqual(await redis.set('k', 'v'), 'OK');
  assert.strictEqual(await redis.get('k'), 'v');
  assert.strictEqual(await redis.set('k', 'w', 'NX'), null);
  assert.strictEqual(await redis.set('k', 'w', 'EX', 100), 'OK');
  const ttl = Number(await redis.raw('TTL', 'k'));
  assert(ttl > 98 && ttl <= 100, `${ttl}`);
  assert.strictEqual(Number(await redis.raw('INCR', 'n')), 1);
  assert.strictEqual(Number(await redis.raw('INCRBY', 'n', '41')), 42);
  assert.strictEqual(await redis.raw('MSET', 'a', '1', 'b', '2'), 'OK');
  assert.deepStrictEqual(await redis.mget(['a', 'b', 'n']), ['1', '2', '42']);
  assert.strictEqual(Number(await redis.raw('DEL', 'a', 'b', 'none')), 2);
  const large = 'x'.repeat(3 << 20);
  assert.strictEqual(await redis.set('large', large), 'OK');
  assert.strictEqual(await redis.get('large'), large);
}

async function main() {
  const redis = await connect();
  await (mode === 'reads' ? reads : writes)(redis);
  assert.strictEqual(String(await redis.quit()), 'OK');
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
