/** The store: every event of a job counts, also those that come while it is being asked what job that is. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { SafelightError } from "../../web/client/index.js";
import { Store } from "../../web/store.js";

const AT = "2026-11-21T05:01:57.457Z";
const fact = (type, seq, data = {}) => ({ type, job_id: "01", seq, at: AT, cursor: `c-${seq}`, data });
const snapshot = (changes = {}) => ({
  id: "01", task: "erase", status: "queued", seq: 1, attempt: 1, params: {}, labels: {}, created_at: AT, outputs: [], ...changes,
});

/** A client whose events and answers come when the test says so. */
class Client extends EventTarget {
  connection = { phase: "connecting" };
  answers = [];
  #events = [];
  #wake = () => {};
  api = {
    jobs: async () => ({ jobs: [] }),
    job: () => new Promise((resolve, reject) => this.answers.push({ resolve, reject })),
  };

  become(phase) {
    this.connection = { phase };
    this.dispatchEvent(Object.assign(new Event("connection"), { detail: this.connection }));
  }

  tell(...events) {
    this.#events.push(...events);
    this.#wake();
  }

  mine({ signal }) {
    return Object.assign(this.#mine(signal), { begun: Promise.resolve() });
  }

  async *#mine(signal) {
    while (!signal.aborted) {
      while (this.#events.length > 0) yield this.#events.shift();
      await new Promise((resolve) => {
        this.#wake = resolve;
        signal.addEventListener("abort", resolve, { once: true });
      });
    }
  }

  async *serverEvents() {}
}

/** Frames that are drawn when the test says so. */
function frames() {
  const due = [];
  globalThis.document = { hidden: false };
  globalThis.requestAnimationFrame = (draw) => due.push(draw);
  return async () => {
    // What was told reaches the store in turns of its own.
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    const drawn = due.splice(0);
    for (const draw of drawn) draw();
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    return drawn.length;
  };
}

test("events that come while a job is being looked up are not lost", async () => {
  const frame = frames();
  const client = new Client();
  const store = new Store(client);
  const leaving = new AbortController();
  const following = store.follow(leaving.signal);
  client.tell(fact("job.queued", 1));
  await frame();
  client.tell(fact("job.started", 2, { attempt: 1 }), fact("job.succeeded", 3));
  await frame();
  assert.equal(client.answers.length, 1);
  client.answers[0].resolve(snapshot());
  await frame();
  assert.equal(store.state.jobs.get("01").job.status, "succeeded");
  leaving.abort();
  await following;
});

test("a job is young if it was submitted while the page was open", async () => {
  const frame = frames();
  const client = new Client();
  const store = new Store(client);
  const leaving = new AbortController();
  const following = store.follow(leaving.signal);
  store.add(snapshot({ id: "02" }));
  store.put([snapshot({ id: "03" })]);
  client.tell(fact("job.queued", 1), { ...fact("job.started", 2, { attempt: 1 }), job_id: "04" });
  await frame();
  client.answers[0].resolve(snapshot({ status: "failed", seq: 3 }));
  client.answers[1].resolve(snapshot({ id: "04", status: "running", seq: 2 }));
  await frame();
  const young = ["01", "02", "03", "04"].filter((id) => store.state.jobs.get(id).isYoung);
  assert.deepEqual(young, ["01", "02"]);
  leaving.abort();
  await following;
});

test("a thousand events that come in one frame are told once", async () => {
  const frame = frames();
  const client = new Client();
  const store = new Store(client);
  const leaving = new AbortController();
  const following = store.follow(leaving.signal);
  store.put([snapshot({ status: "running" })]);
  let told = 0;
  store.watch((state) => state.jobs, () => (told += 1), leaving);
  await frame();
  told = 0;
  for (let n = 1; n <= 1000; n += 1) {
    client.tell({ type: "step.finished", job_id: "01", seq: 1, at: AT, attempt: 1, n, data: { image: 0, step: n, steps: 1000, progress: n / 1000 } });
  }
  // Every event passes through turns of its own, and none of them may draw.
  for (let turn = 0; turn < 5000; turn += 1) await Promise.resolve();
  assert.equal(await frame(), 1);
  assert.equal(told, 1);
  assert.equal(store.state.jobs.get("01").live.step, 1000);
  leaving.abort();
  await following;
});

test("many jobs of another program are asked for in one listing", async () => {
  const frame = frames();
  const client = new Client();
  const store = new Store(client);
  const leaving = new AbortController();
  const following = store.follow(leaving.signal);
  const ids = Array.from({ length: 50 }, (_, place) => String(place).padStart(2, "0"));
  let listings = 0;
  client.api.jobs = async () => {
    listings += 1;
    return { jobs: ids.map((id) => snapshot({ id })) };
  };
  await frame();
  listings = 0;
  client.tell(...ids.map((id) => ({ ...fact("job.started", 2, { attempt: 1 }), job_id: id })));
  for (let turn = 0; turn < 500; turn += 1) await Promise.resolve();
  await frame();
  await frame();
  assert.equal(listings, 1);
  assert.equal(client.answers.length, 0);
  assert.equal([...store.state.jobs.values()].filter(({ job }) => job.status === "running").length, 50);
  leaving.abort();
  await following;
});

test("a listing that was refused for want of a key is asked for again once there is one", async () => {
  const frame = frames();
  const client = new Client();
  let asked = 0;
  client.api.jobs = async () => {
    asked += 1;
    if (asked === 1) throw new SafelightError("unauthorized", "no key");
    return { jobs: [snapshot()] };
  };
  const store = new Store(client);
  const leaving = new AbortController();
  const following = store.follow(leaving.signal);
  client.become("open");
  await frame();
  assert.deepEqual(store.state.order, []);
  client.become("refused");
  client.become("open");
  await frame();
  assert.deepEqual(store.state.order, ["01"]);
  client.become("lost");
  client.become("open");
  await frame();
  assert.equal(asked, 2, "after a break events go on from where they were: nothing is listed again");
  leaving.abort();
  await following;
});
