"""A client of kvarts' HTTP interface, of Python's standard library alone. Not thread-safe.

    client = Client("127.0.0.1", 7780)
    client.put(b"greeting", b"hello")
    client.get(b"greeting").value   # b"hello"

Keys and values are bytes. An error of the server is a KvartsError, with its code.
"""

import base64
import collections
import http.client
import json
import urllib.parse

Value = collections.namedtuple("Value", ["value", "etag", "content_type"])


class KvartsError(Exception):
    def __init__(self, status, code, message):
        super().__init__("%d %s: %s" % (status, code, message))
        self.status = status
        self.code = code


class Client:
    def __init__(self, host, port, timeout=30):
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def close(self):
        self._connection.close()

    def _request(self, method, target, body=None, fields=None):
        self._connection.request(method, target, body=body, headers=fields or {})
        response = self._connection.getresponse()
        data = response.read()
        if response.status >= 400:
            error = json.loads(data)
            raise KvartsError(response.status, error["code"], error["error"])
        return response, data

    def _post(self, target, value):
        _, data = self._request(
            "POST", target, json.dumps(value), {"Content-Type": "application/json"})
        return json.loads(data)

    @staticmethod
    def _path(key):
        # The empty key, and those that clients take out of a path, are said in base64.
        if key in (b"", b".", b".."):
            return "/v1/kv/%s?key_encoding=base64" % base64.urlsafe_b64encode(key).decode()
        return "/v1/kv/" + urllib.parse.quote_from_bytes(key, safe="")

    @staticmethod
    def _bytes(value):
        return base64.b64decode(value["base64"])

    @staticmethod
    def _query(**given):
        fields = {"bytes": "base64"}
        for name, value in given.items():
            if value is None or value is False:
                continue
            if isinstance(value, bytes):
                fields["key_encoding"] = "base64"
                value = base64.urlsafe_b64encode(value).decode()
            fields[name] = "true" if value is True else value
        return urllib.parse.urlencode(fields)

    def get(self, key):
        """The value with its ETag and type; None where the key is absent."""
        try:
            response, data = self._request("GET", self._path(key))
        except KvartsError as error:
            if error.code == "no_such_key":
                return None
            raise
        return Value(data, response.getheader("ETag"), response.getheader("Content-Type"))

    def put(self, key, value, if_match=None, if_absent=False):
        """True where the key was absent. Raises precondition_failed."""
        fields = {"Content-Type": "application/octet-stream"}
        if if_match is not None:
            fields["If-Match"] = if_match
        if if_absent:
            fields["If-None-Match"] = "*"
        response, _ = self._request("PUT", self._path(key), value, fields)
        return response.status == 201

    def delete(self, key):
        """True where the key was there."""
        try:
            self._request("DELETE", self._path(key))
        except KvartsError as error:
            if error.code == "no_such_key":
                return False
            raise
        return True

    def get_many(self, keys, snapshot=None):
        """A value or None for each key, in their order."""
        target = "/v1/batch/get?" + self._query(snapshot=snapshot)
        wanted = [{"base64": base64.b64encode(key).decode()} for key in keys]
        return [self._bytes(one["value"]) if one["found"] else None
                for one in self._post(target, {"keys": wanted})["results"]]

    def write_many(self, puts, deletes=(), atomic=True):
        """`puts` is a map. All of it or nothing, unless `atomic` is false."""
        as_json = lambda data: {"base64": base64.b64encode(data).decode()}
        mutations = [{"put": as_json(key), "value": as_json(value)} for key, value in puts.items()]
        mutations += [{"delete": as_json(key)} for key in deletes]
        return self._post("/v1/batch/write", {"mutations": mutations, "atomic": atomic})["results"]

    def delete_range(self, start, end):
        """Deletes the keys from `start` to before `end`."""
        self._request("DELETE", "/v1/scan?" + urllib.parse.urlencode({
            "key_encoding": "base64",
            "start": base64.urlsafe_b64encode(start).decode(),
            "end": base64.urlsafe_b64encode(end).decode()}))

    def snapshot(self):
        """The name of the state of now, for get_many() and scan()."""
        return self._post("/v1/snapshots", {})["snapshot"]

    def release(self, snapshot):
        self._request("DELETE", "/v1/snapshots/" + snapshot)

    def scan(self, start=None, end=None, backward=False, limit=100, snapshot=None):
        """Yields key and value of a range, page by page; a page is at most `limit` entries."""
        cursor = None
        while True:
            # As a form: a cursor over long keys is too long for a query.
            form = self._query(start=start, end=end, backward=backward, limit=limit,
                               snapshot=snapshot, cursor=cursor)
            _, data = self._request("POST", "/v1/scan", form,
                                    {"Content-Type": "application/x-www-form-urlencoded"})
            page = json.loads(data)
            for entry in page["entries"]:
                yield self._bytes(entry["key"]), self._bytes(entry["value"])
            if "error" in page:
                raise KvartsError(503, page["code"], page["error"])
            cursor = page["cursor"]
            if cursor is None:
                return
