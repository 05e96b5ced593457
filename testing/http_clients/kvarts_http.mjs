// A client of kvarts' HTTP interface, by fetch() alone: Node 18 or later, and browsers.
//
//   const client = new Client("http://127.0.0.1:7780");
//   await client.put(Buffer.from("greeting"), Buffer.from("hello"));
//   (await client.get(Buffer.from("greeting"))).value
//
// Keys and values are bytes. An error of the server is a KvartsError, with its code.

export class KvartsError extends Error {
  constructor(status, code, message) {
    super(`${status} ${code}: ${message}`);
    this.status = status;
    this.code = code;
  }
}

const toJson = (bytes) => ({base64: Buffer.from(bytes).toString("base64")});
const fromJson = (value) => Buffer.from(value.base64, "base64");

function path(key) {
  // The empty key, and those that clients take out of a path, are said in base64.
  if (["", ".", ".."].includes(key.toString("latin1"))) {
    return `/v1/kv/${key.toString("base64url")}?key_encoding=base64`;
  }
  return "/v1/kv/" + [...key].map((b) => "%" + b.toString(16).padStart(2, "0")).join("");
}

// Bytes are keys.
function form(given) {
  const fields = new URLSearchParams({bytes: "base64"});
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (value instanceof Uint8Array) {
      fields.set("key_encoding", "base64");
      fields.set(name, Buffer.from(value).toString("base64url"));
    } else {
      fields.set(name, String(value));
    }
  }
  return fields;
}

export class Client {
  #base;

  constructor(base) {
    this.#base = base;
  }

  async #request(method, target, body, headers = {}) {
    const response = await fetch(this.#base + target, {method, body, headers});
    const data = Buffer.from(await response.arrayBuffer());
    if (response.status >= 400) {
      const {code, error} = JSON.parse(data);
      throw new KvartsError(response.status, code, error);
    }
    return {response, data};
  }

  async #post(target, value) {
    const headers = {"Content-Type": "application/json"};
    const {data} = await this.#request("POST", target, JSON.stringify(value), headers);
    return JSON.parse(data);
  }

  // {value, etag}, or null where the key is absent.
  async get(key) {
    try {
      const {response, data} = await this.#request("GET", path(key));
      return {value: data, etag: response.headers.get("ETag")};
    } catch (error) {
      if (error.code === "no_such_key") return null;
      throw error;
    }
  }

  // True where the key was absent. Throws precondition_failed.
  async put(key, value, {ifMatch} = {}) {
    const headers = {"Content-Type": "application/octet-stream"};
    if (ifMatch !== undefined) headers["If-Match"] = ifMatch;
    const {response} = await this.#request("PUT", path(key), value, headers);
    return response.status === 201;
  }

  // True where the key was there.
  async delete(key) {
    try {
      await this.#request("DELETE", path(key));
      return true;
    } catch (error) {
      if (error.code === "no_such_key") return false;
      throw error;
    }
  }

  // A value or null for each key, in their order.
  async getMany(keys, {snapshot} = {}) {
    const {results} =
        await this.#post("/v1/batch/get?" + form({snapshot}), {keys: keys.map(toJson)});
    return results.map((one) => one.found ? fromJson(one.value) : null);
  }

  // `puts` are pairs. All of it or nothing.
  async writeMany(puts, deletes = []) {
    const mutations = [
      ...puts.map(([key, value]) => ({put: toJson(key), value: toJson(value)})),
      ...deletes.map((key) => ({delete: toJson(key)})),
    ];
    return (await this.#post("/v1/batch/write", {mutations, atomic: true})).results;
  }

  // Deletes the keys from `start` to before `end`.
  async deleteRange(start, end) {
    const fields = form({start, end});
    fields.delete("bytes");
    await this.#request("DELETE", "/v1/scan?" + fields);
  }

  // The name of the state of now, for getMany() and scan().
  async snapshot() {
    return (await this.#post("/v1/snapshots", {})).snapshot;
  }

  async release(snapshot) {
    await this.#request("DELETE", "/v1/snapshots/" + snapshot);
  }

  // Pairs of key and value of a range, page by page.
  async * scan({start, end, backward, limit = 100, snapshot} = {}) {
    for (let cursor; cursor !== null;) {
      // As a form: a cursor over long keys is too long for a query.
      const {data} =
          await this.#request("POST", "/v1/scan", form({start, end, backward, limit, snapshot, cursor}));
      const page = JSON.parse(data);
      for (const {key, value} of page.entries) yield [fromJson(key), fromJson(value)];
      if (page.error !== undefined) throw new KvartsError(503, page.code, page.error);
      cursor = page.cursor;
    }
  }
}
