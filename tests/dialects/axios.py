"""Requests as axios makes them, from Node, for tests that need no package of npm.

What it sends was seen of version 1.21: its headers in their order, JSON for objects, a form of its own boundary for
FormData, and an empty URL-encoded form for a POST of nothing.
"""

import json
import shutil
import subprocess
from typing import Any, Final

import pytest

from tests.servers import DEADLINE_S

_AXIOS: Final = r"""
const http = require("node:http"), zlib = require("node:zlib"), { randomBytes } = require("node:crypto");

async function encoded(data) {
  if (data === undefined || data === null) return ["application/x-www-form-urlencoded", Buffer.alloc(0)];
  if (!(data instanceof FormData)) return ["application/json", Buffer.from(JSON.stringify(data))];
  const boundary = "axios-1.21.1-boundary-" + randomBytes(18).toString("base64url");
  const parts = [];
  for (const [name, value] of data) {
    const isFile = typeof value !== "string";
    const about = isFile ? `; filename="${value.name}"\r\nContent-Type: ${value.type}` : "";
    const content = isFile ? Buffer.from(await value.arrayBuffer()) : Buffer.from(value);
    parts.push(Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"${about}\r\n\r\n`), content);
    parts.push(Buffer.from("\r\n"));
  }
  return [`multipart/form-data; boundary=${boundary}`, Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)])];
}

const OPENERS = { gzip: zlib.createGunzip, deflate: zlib.createInflate, br: zlib.createBrotliDecompress };

async function axios(method, address, { data, params = {}, headers = {}, responseType = "json" } = {}) {
  const url = new URL(address);
  for (const [name, value] of Object.entries(params)) url.searchParams.append(name, value);
  const [type, body] = method === "POST" ? await encoded(data) : [null, null];
  const sent = {
    Accept: "application/json, text/plain, */*", ...(type && { "Content-Type": type }), ...headers,
    "User-Agent": "axios/1.21.1", ...(body && { "Content-Length": body.length }),
    "Accept-Encoding": "gzip, compress, deflate, br",
  };
  const answer = await new Promise((resolve, reject) => {
    http.request(url, { method, headers: sent }, resolve).on("error", reject).end(body);
  });
  const opener = OPENERS[answer.headers["content-encoding"]];
  const stream = opener ? answer.pipe(opener()) : answer;
  const response = { status: answer.statusCode, headers: answer.headers, data: stream };
  if (responseType !== "stream" || response.status >= 300) {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const content = Buffer.concat(chunks);
    try { response.data = JSON.parse(content.toString()); } catch { response.data = content; }
  }
  if (response.status >= 300) {
    throw Object.assign(new Error(`Request failed with status code ${response.status}`), { response });
  }
  return response;
}

axios.get = (url, config) => axios("GET", url, config);
axios.post = (url, data, config) => axios("POST", url, { ...config, data });
const say = (value) => console.log(JSON.stringify(value));
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
"""


def told_by(program: str, *arguments: str) -> Any:
    """What a program in JavaScript says: its last line, as JSON.

    It has `axios.get(url, config)` and `axios.post(url, data, config)` as axios has them, `say(value)` and `pause()`,
    and its arguments in `process.argv.slice(1)`. An error that it does not catch fails the test.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    done = subprocess.run(
        [node, "-e", f"{_AXIOS}(async () => {{{program}}})();", *arguments],
        capture_output=True,
        text=True,
        timeout=6 * DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
