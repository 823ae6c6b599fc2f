// What goes over the wire and comes out of it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../../../web/client/backoff.js";
import { SafelightError } from "../../../web/client/errors.js";
import { decodeFrame } from "../../../web/client/frames.js";
import { follow } from "../../../web/client/follow.js";
import { parseJson, writeJson } from "../../../web/client/json.js";
import { readProblem } from "../../../web/client/rest.js";
import { ofClose } from "../../../web/client/verdict.js";

const AT = "2026-01-01T00:00:00.000Z";
const LARGEST_SEED = 9223372036854775807n;

test("whole numbers that a double cannot keep are read as they are, and written as they were", () => {
  const text = '{"seed":9223372036854775807,"list":[-9007199254740993,12],"text":"1, 9223372036854775807 \\"[","small":7}';
  const value = parseJson(text);
  assert.equal(value.seed, LARGEST_SEED);
  assert.deepEqual(value.list, [-9007199254740993n, 12]);
  assert.equal(value.text, '1, 9223372036854775807 "[');
  assert.equal(value.small, 7);
  assert.equal(writeJson(value), text);
});

test("numbers that a double keeps stay numbers, however long they are", () => {
  assert.deepEqual(parseJson("[9007199254740991,1234567890123456.5,1e300]"), [9007199254740991, 1234567890123456.5, 1e300]);
});

function frame(header, bytes) {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const whole = new Uint8Array(4 + json.length + bytes.length);
  new DataView(whole.buffer).setUint32(0, json.length);
  whole.set(json, 4);
  whole.set(bytes, 4 + json.length);
  return whole.buffer;
}

test("a binary frame is its event with the picture in it", () => {
  const event = decodeFrame(frame({ type: "preview.ready", job_id: "ü", data: { step: 3 } }, [255, 216, 1]));
  assert.equal(event.job_id, "ü");
  assert.equal(event.data.step, 3);
  assert.deepEqual(event.data.bytes, new Uint8Array([255, 216, 1]));
});

test("a frame that is shorter than it says, or no message, is refused", () => {
  const cut = frame({ type: "preview.ready", data: {} }, []).slice(0, 10);
  for (const bad of [cut, new ArrayBuffer(2), "[]", "null", '{"a":1}', "{", new Uint8Array([0, 0, 0, 1, 255]).buffer]) {
    assert.throws(() => decodeFrame(bad));
  }
});

test("delays double up to ten seconds, and no two clients wait alike", () => {
  const backoff = new Backoff(Number.POSITIVE_INFINITY);
  let longest = 0;
  for (let tries = 1; tries < 40; tries += 1) {
    backoff.failed();
    const delay = backoff.delayMs();
    const whole = Math.min(100 * 2 ** (tries - 1), 10_000);
    assert.ok(delay >= whole / 2 && delay <= whole, `${delay} of ${whole}`);
    longest = Math.max(longest, delay);
  }
  assert.ok(longest >= 5000);
  assert.equal(backoff.isExhausted, false);
  assert.equal(new Set(Array.from({ length: 20 }, () => backoff.delayMs())).size, 20);
  backoff.succeeded();
  backoff.failed();
  assert.ok(backoff.delayMs() <= 100);
});

test("no patience is exhausted by the first failure", () => {
  const backoff = new Backoff(0);
  assert.equal(backoff.isExhausted, false);
  backoff.failed();
  assert.equal(backoff.isExhausted, true);
});

test("what refuses is told apart from what breaks", () => {
  assert.equal(ofClose({ code: 4401, reason: "" }).final.code, "unauthorized");
  assert.equal(ofClose({ code: 4408, reason: "slow" }).final, null);
  assert.match(ofClose({ code: 1012, reason: "" }).reason, /draining/);
  assert.equal(ofClose({ code: 4999, reason: "" }).final, null);
  assert.equal(ofClose({ code: 1009, reason: "" }).isTooBig, true);
});

test("a problem document is an error with its code, and a proxy's page is none of the server's", () => {
  const problem = JSON.stringify({ code: "queue_full", detail: "full", field: "$.a", status: 429 });
  const refusal = readProblem(problem, 429, "7");
  assert.ok(refusal instanceof SafelightError);
  assert.deepEqual({ ...refusal }, { name: "SafelightError", code: "queue_full", field: "$.a", status: 429, retryAfterS: 7 });
  assert.equal(readProblem("<html>", 502, null).code, "unreachable");
  assert.equal(readProblem("<html>", 404, null).code, "unexpected_answer");
});

test("the facts of a job add up to it, and what it includes already changes nothing", () => {
  const told = (seq, type, data, more = {}) => ({ type, job_id: "a", seq, at: AT, data, ...more });
  const job = { id: "a", status: "queued", seq: 1, attempt: 1, outputs: [] };
  const events = [
    told(1, "job.failed", { error: { code: "internal", message: "old" } }),
    told(1, "queue.moved", { position: 2, eta_s: 9 }, { n: 1, attempt: 1 }),
    told(2, "job.started", { attempt: 1 }),
    told(2, "step.finished", { progress: 0.5, eta_s: 1 }, { n: 2, attempt: 1 }),
    told(3, "output.ready", { index: 0, url: "u" }),
  ];
  const running = events.reduce(follow, job);
  assert.deepEqual(
    { ...running },
    { id: "a", status: "running", seq: 3, attempt: 1, outputs: [{ index: 0, url: "u" }], position: null, eta_s: 1, progress: 0.5, started_at: AT },
  );
  assert.equal(job.status, "queued");
  const ended = follow(running, told(4, "job.cancelled", { reason: "asked" }));
  assert.deepEqual([ended.status, ended.finished_at, ended.eta_s], ["cancelled", AT, null]);
});
