// One reader, and the feeds that give it events.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Feed, Gap } from "../../../web/client/feed.js";
import { MineFeed } from "../../../web/client/mine-feed.js";
import { Reader } from "../../../web/client/reader.js";

const AT = "2026-01-01T00:00:00.000Z";
const fact = (seq, type = "output.ready", job = "a") => ({ type, job_id: job, seq, at: AT, cursor: `c-${seq}`, data: {} });
const hint = (n, seq = 1, type = "step.finished", attempt = 1, job = "a") => ({ type, job_id: job, seq, at: AT, attempt, n, data: {} });
const places = (events) => events.map(({ seq, n }) => (n === undefined ? `${seq}` : `${seq}.${n}`));

async function all(events) {
  const list = [];
  for await (const event of events) list.push(event);
  return list;
}

/** So many events, and that no more are waiting. */
async function exactly(count, reader) {
  const list = [];
  while (list.length < count) list.push((await reader.next()).value);
  reader.end();
  assert.equal((await reader.next()).done, true, "more than expected");
  return list;
}

function feedOf(events) {
  const feed = new Feed("a");
  feed.submitted();
  for (const event of events) feed.offer(event);
  return feed;
}

test("a reader that lags gets every fact and of hints the newest, at the place of the newest", async () => {
  const reader = new Reader();
  for (const event of [fact(1), hint(1), hint(2), fact(2), hint(3, 2), fact(3, "job.succeeded")]) reader.put(event);
  reader.end();
  assert.deepEqual(places(await all(reader)), ["1", "2", "2.3", "3"]);
});

test("hints of other types and of other jobs do not replace each other", async () => {
  const reader = new Reader();
  for (const event of [hint(1), hint(2, 1, "preview.ready"), hint(1, 1, "step.finished", 1, "b")]) reader.put(event);
  reader.end();
  assert.equal((await all(reader)).length, 3);
});

test("of the server's own hints a newer one replaces an older one of the same model", async () => {
  const reader = new Reader();
  for (const [n, model] of [[1, "x"], [2, "y"], [3, "x"]]) reader.put({ type: "model.loading", seq: 0, at: AT, n, data: { model } });
  reader.end();
  assert.deepEqual((await all(reader)).map(({ n }) => n), [2, 3]);
});

test("an error is told after what was there, once", async () => {
  const reader = new Reader();
  reader.put(fact(1));
  reader.end(new Error("gone"));
  assert.equal((await reader.next()).value.seq, 1);
  await assert.rejects(reader.next(), /gone/);
  assert.equal((await reader.next()).done, true);
});

test("an abort throws the reason to who waits, and drops what was not read", async () => {
  const controller = new AbortController();
  let left = 0;
  const reader = new Reader({ signal: controller.signal, onLeave: () => (left += 1) });
  const next = reader.next();
  controller.abort(new Error("enough"));
  await assert.rejects(next, /enough/);
  reader.put(fact(1));
  assert.equal((await reader.next()).done, true);
  assert.equal(left, 1);
});

test("an abort before the first read throws too", async () => {
  const reader = new Reader({ signal: AbortSignal.abort(new Error("never")) });
  await assert.rejects(reader.next(), /never/);
});

test("an abort after the end drops what was not read", async () => {
  const controller = new AbortController();
  const reader = new Reader({ signal: controller.signal });
  reader.put(fact(1));
  reader.end();
  controller.abort(new Error("enough"));
  await assert.rejects(reader.next(), /enough/);
});

test("who breaks off a loop has left, and is put nothing more", async () => {
  let left = 0;
  const reader = new Reader({ onLeave: () => (left += 1) });
  reader.put(fact(1));
  reader.put(fact(2));
  for await (const event of reader) if (event.seq === 1) break;
  reader.put(fact(3));
  assert.equal(left, 1);
  assert.deepEqual(await all(reader), []);
});

test("a feed takes each fact once, and refuses one that would leave a gap", () => {
  const feed = feedOf([fact(1), fact(1), fact(2), fact(1)]);
  assert.equal(feed.seq, 2);
  assert.throws(() => feed.offer(fact(4)), Gap);
  assert.throws(() => feed.offer(hint(1, 3)), Gap);
  assert.equal(feed.seq, 2);
});

test("a hint that is older than one of its type is not told", async () => {
  const feed = feedOf([fact(1), hint(2), hint(1), hint(1, 1, "step.finished", 2), hint(3)]);
  assert.deepEqual(places(await exactly(2, feed.read())), ["1", "1.1"]);
});

test("after a break the same hint is not told again, and one that counts anew is", async () => {
  const feed = feedOf([fact(1), hint(5)]);
  const reader = feed.read();
  const before = [(await reader.next()).value, (await reader.next()).value];
  assert.deepEqual(places(before), ["1", "1.5"]);
  const again = () => {
    feed.resuming();
    feed.subscribed({});
  };
  again();
  feed.offer(hint(5));
  again();
  feed.offer({ ...hint(2), at: "2026-01-01T00:00:01.000Z" });
  assert.deepEqual(places(await exactly(1, reader)), ["1.2"]);
});

test("events of an earlier subscription on the same socket are not taken for those of the new one", () => {
  const feed = new Feed("a");
  feed.offer(fact(7)); // no gap: it is not of this subscription
  feed.subscribed({});
  feed.offer(fact(1));
  assert.equal(feed.seq, 1);
});

test("a feed from a fact on, of a job that ended with it, has ended", async () => {
  const feed = new Feed("a", 4);
  const reader = feed.read();
  feed.subscribed({ job: { status: "succeeded", seq: 4 } });
  assert.deepEqual(await all(reader), []);
});

test("a feed from a fact on, of a job that has ended since, goes on to the end", async () => {
  const feed = new Feed("a", 3);
  const reader = feed.read();
  feed.subscribed({ job: { status: "succeeded", seq: 4 } });
  feed.offer(fact(4, "job.succeeded"));
  assert.deepEqual(places(await all(reader)), ["4"]);
});

test("the feed of all jobs goes on from the last fact, and knows its repeats", async () => {
  const feed = new MineFeed();
  feed.subscribed({ cursor: "c-0" });
  for (const event of [fact(1), fact(1), fact(1, "job.queued", "b"), fact(2, "job.succeeded"), fact(2, "job.succeeded")]) feed.offer(event);
  assert.equal(feed.subscription().cursor, "c-2");
  assert.throws(() => feed.offer(fact(3, "job.started", "b")), Gap);
  await exactly(3, feed.reader);
});

test("the feed of all jobs does not tell a fact again that was read already", async () => {
  const feed = new MineFeed();
  feed.offer(fact(1));
  assert.deepEqual(places([(await feed.reader.next()).value]), ["1"]);
  feed.offer(fact(1));
  feed.offer(fact(2, "job.succeeded"));
  assert.deepEqual(places([(await feed.reader.next()).value]), ["2"]);
  feed.offer(fact(2, "job.succeeded"));
  feed.fail(undefined);
  assert.equal((await feed.reader.next()).done, true);
});

test("a reader has begun once the server has agreed, and not if it refuses", async () => {
  const [agreed, refused, read] = [new MineFeed(), new MineFeed(), new Feed("a")];
  let hasBegun = false;
  void agreed.reader.begun.then(() => (hasBegun = true));
  await Promise.resolve();
  assert.equal(hasBegun, false);
  agreed.subscribed({ cursor: "c-1" });
  await agreed.reader.begun;
  refused.fail(new Error("no"));
  await assert.rejects(refused.reader.begun, /no/);
  read.submitted();
  await read.read().begun;
});

test("the feed of all jobs takes a job in the middle, as it was when the watching began", async () => {
  const feed = new MineFeed();
  feed.offer(fact(5));
  assert.throws(() => feed.offer(fact(7)), Gap);
  assert.deepEqual(places(await exactly(1, feed.reader)), ["5"]);
});
