/** The list of ended jobs: any length, few of them kept, in the order of their ids whatever comes when. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { JobList, lastIdOf } from "../../web/job-list.js";
import { Selection } from "../../web/selection.js";

const idOf = (number) => `01900000-0000-7000-8000-${String(number).padStart(12, "0")}`;
const jobOf = (id, changes = {}) => ({ id, task: "erase", status: "succeeded", seq: 4, params: {}, outputs: [], ...changes });

/** A server with jobs 1 to `count`, and what it was asked. */
function serverOf(count) {
  const asked = [];
  const jobs = async ({ cursor, limit }) => {
    asked.push(cursor);
    const newest = cursor === undefined ? count : Number(cursor.slice(-12)) - 1;
    const ids = Array.from({ length: Math.min(limit, newest) }, (_, back) => idOf(newest - back));
    return { jobs: ids.map((id) => jobOf(id)), next: newest > limit ? ids.at(-1) : undefined };
  };
  return { asked, client: { api: { jobs } } };
}

async function listOf(count, filter = {}) {
  const { asked, client } = serverOf(count);
  const list = new JobList(client, filter);
  await list.more();
  return { asked, list };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("pages follow each other to the oldest job, and none is asked for twice", async () => {
  const { asked, list } = await listOf(250);
  await Promise.all([list.more(), list.more()]);
  await list.more();
  await list.more();
  assert.equal(list.ids.length, 250);
  assert.deepEqual(list.ids, [...list.ids].sort().reverse());
  assert.ok(list.isComplete);
  assert.equal(asked.length, 3);
});

test("jobs far from what is looked at are dropped, and come back when they are needed", async () => {
  const { asked, list } = await listOf(3000);
  while (!list.isComplete) await list.more();
  assert.equal(list.ids.length, 3000);
  assert.equal(list.job(idOf(3000)), undefined);
  const before = asked.length;
  list.need(0, 40);
  await settled();
  assert.equal(list.job(idOf(3000)).id, idOf(3000));
  assert.equal(list.job(idOf(2961)).id, idOf(2961));
  assert.equal(asked.length, before + 1);
  list.need(0, 40);
  assert.equal(asked.length, before + 1);
});

test("a job that has ended since comes to its place, once", async () => {
  const { list } = await listOf(5);
  const late = "01900000-0000-7000-8000-0000000000035";
  list.take([jobOf(idOf(9)), jobOf(late), jobOf(idOf(9))]);
  assert.deepEqual(list.ids.slice(0, 2), [idOf(9), idOf(5)]);
  assert.equal(list.ids.length, 7);
});

test("a job of a page that has not been read comes with its page", async () => {
  const { list } = await listOf(150);
  list.take([jobOf(idOf(3))]);
  assert.equal(list.ids.includes(idOf(3)), false);
  await list.more();
  assert.equal(list.ids.filter((id) => id === idOf(3)).length, 1);
});

test("jobs that are gone leave, and the others stay where they are", async () => {
  const { list } = await listOf(5);
  list.remove([idOf(4), idOf(77)]);
  assert.deepEqual(list.ids, [5, 3, 2, 1].map(idOf));
  assert.equal(list.job(idOf(4)), undefined);
});

test("a list that cannot be read says why, and is read on when it can", async () => {
  const { client } = serverOf(5);
  const working = client.api.jobs;
  client.api.jobs = async () => {
    throw new Error("away");
  };
  const list = new JobList(client, {});
  await list.more();
  assert.equal(list.error.message, "away");
  client.api.jobs = working;
  await list.more();
  assert.equal(list.error, undefined);
  assert.equal(list.ids.length, 5);
});

test("only what the filter lets through belongs to a list", async () => {
  const { list } = await listOf(0, { status: "failed", task: "erase", q: "RED apple" });
  const wanted = jobOf(idOf(1), { status: "failed", params: { prompt: "an apple, red" } });
  assert.ok(list.accepts(wanted));
  for (const changes of [{ status: "succeeded" }, { status: "running" }, { task: "upscale" }, { params: { prompt: "an apple" } }, { params: {} }]) {
    assert.equal(list.accepts({ ...wanted, ...changes }), false);
  }
});

test("the last id of a day is above those of the day and below those of the next", () => {
  const at = (text) => new Date(text).getTime().toString(16).padStart(12, "0");
  const id = (text, rest) => `${at(text).slice(0, 8)}-${at(text).slice(8)}-${rest}`;
  const last = lastIdOf("2026-11-21");
  assert.ok(id("2026-11-21T23:59:59.999", "7fff-bfff-fffffffffffe") < last);
  assert.ok(id("2026-11-22T00:00:00.000", "7000-8000-000000000000") > last);
});

test("a range goes from what was chosen last to here, in either direction", () => {
  const selection = new Selection();
  const list = ["a", "b", "c", "d", "e"];
  selection.toggle("d");
  selection.through(list, "b");
  assert.deepEqual(new Set(selection.ids), new Set(["b", "c", "d"]));
  selection.toggle("c");
  assert.equal(selection.has("c"), false);
  selection.leave(["b"]);
  assert.deepEqual(selection.ids, ["d"]);
});
