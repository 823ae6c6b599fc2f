/** (state, event) -> state: what the page knows must be what the server said, however snapshots and events interleave. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { EMPTY, hasEnded, unknownJobs, withConnection, withEvents, withJobs, withoutJobs } from "../../web/state.js";

const AT = "2026-11-21T05:01:57.457Z";

function snapshot(changes = {}) {
  return {
    id: "01", task: "text_to_image", status: "queued", seq: 1, attempt: 1, priority: "normal", previews: "latest",
    params: {}, labels: {}, created_at: AT, outputs: [], ...changes,
  };
}

const fact = (type, seq, data = {}) => ({ type, job_id: "01", seq, at: AT, cursor: `c-${seq}`, data });
const hint = (type, n, data = {}) => ({ type, job_id: "01", seq: 2, at: AT, attempt: 1, n, data });
const serverHint = (type, data) => ({ type, seq: 0, at: AT, attempt: 1, n: 1, data });
const output = (index) => ({ index, url: `/v1/jobs/01/outputs/${index}`, media_type: "image/png", size_bytes: 1, sha256: "" });

const started = fact("job.started", 2, { worker: "local", device: "cpu", attempt: 1 });
const known = (changes) => withJobs(EMPTY, [snapshot(changes)]);
const job = (state) => state.jobs.get("01");

test("a job goes from waiting to its end by its facts", () => {
  let state = withEvents(known(), [started]);
  assert.equal(job(state).job.status, "running");
  assert.equal(job(state).job.started_at, AT);
  state = withEvents(state, [fact("output.ready", 3, output(0)), fact("job.succeeded", 4, { duration_s: 1, timings: {} })]);
  assert.equal(job(state).job.status, "succeeded");
  assert.deepEqual(job(state).job.outputs.map(({ index }) => index), [0]);
  assert.ok(hasEnded(job(state)));
});

test("a fact that the snapshot includes already changes nothing", () => {
  const state = known({ seq: 3, status: "running", outputs: [output(0)] });
  const after = withEvents(state, [started, fact("output.ready", 3, output(0))]);
  assert.equal(job(after).job.outputs.length, 1);
  assert.equal(job(after), job(state));
});

test("a snapshot older than the events does not take the job back", () => {
  const state = withEvents(known(), [started, fact("output.ready", 3, output(0))]);
  assert.equal(job(withJobs(state, [snapshot({ seq: 1 })])).job.status, "running");
  assert.equal(job(withJobs(state, [snapshot({ seq: 1 })])).job.outputs.length, 1);
});

test("steps and previews replace each other, and go when the job ends", () => {
  const preview = (step) => ({ image: 0, step, width: 2, height: 2, media_type: "image/jpeg", bytes: new Uint8Array([step]) });
  let state = withEvents(known(), [started, hint("preview.ready", 1, preview(1)), hint("preview.ready", 2, preview(2))]);
  state = withEvents(state, [hint("step.finished", 3, { image: 0, step: 2, steps: 8, progress: 0.25, eta_s: 3 })]);
  assert.deepEqual([...job(state).live.preview.bytes], [2]);
  assert.deepEqual([job(state).live.step, job(state).live.steps, job(state).live.progress, job(state).live.etaS], [2, 8, 0.25, 3]);
  const ended = withEvents(state, [fact("job.cancelled", 3, { reason: "asked" })]);
  assert.deepEqual(job(ended).live, {});
  const late = withEvents(ended, [hint("step.finished", 4, { image: 0, step: 3, steps: 8, progress: 0.4 })]);
  assert.equal(late.jobs.get("01"), job(ended), "a hint that comes after the end is of no use");
});

test("a failed job says why", () => {
  const state = withEvents(known(), [fact("job.failed", 2, { error: { code: "out_of_memory", message: "full" } })]);
  assert.equal(job(state).job.error.code, "out_of_memory");
});

test("a job that went back to the queue waits again, without what was seen of its first attempt", () => {
  let state = withEvents(known(), [started, hint("step.finished", 1, { image: 0, step: 2, steps: 8, progress: 0.25 })]);
  state = withEvents(state, [fact("job.requeued", 3, { attempt: 2, reason: "server stopped" })]);
  assert.equal(job(state).job.status, "queued");
  assert.equal(job(state).job.attempt, 2);
  assert.equal(job(state).live.step, undefined);
});

test("a warning is kept, once, though the snapshot knew of its seq", () => {
  const warning = fact("job.warning", 2, { code: "unknown_name", message: "no such style" });
  const state = withEvents(known({ seq: 5, status: "running" }), [warning, warning]);
  assert.deepEqual(job(state).warnings, [{ code: "unknown_name", message: "no such style" }]);
  assert.equal(job(state).job.seq, 5);
});

test("events of a job that is not known name it, and change nothing", () => {
  const state = withEvents(EMPTY, [started]);
  assert.equal(state.jobs.size, 0);
  assert.deepEqual(unknownJobs(EMPTY, [started, started, serverHint("model.loaded", { model: "m", device: "cpu" })]), ["01"]);
  assert.deepEqual(unknownJobs(known(), [started]), []);
});

test("jobs are newest first, and gone when they are removed", () => {
  const state = withJobs(EMPTY, [snapshot({ id: "01" }), snapshot({ id: "03" }), snapshot({ id: "02" })]);
  assert.deepEqual(state.order, ["03", "02", "01"]);
  assert.deepEqual(withoutJobs(state, ["02"]).order, ["03", "01"]);
  const removed = withEvents(state, [{ ...hint("job.removed", 1), job_id: "03" }]);
  assert.deepEqual(removed.order, ["02", "01"]);
});

test("models are as the server's topic told last", () => {
  const loading = serverHint("model.loading", { model: "checkpoint:spark", phase: "read", done: 5, total: 10 });
  let state = withEvents(EMPTY, [loading]);
  assert.deepEqual(state.models.get("checkpoint:spark"), { status: "loading", phase: "read", done: 5, total: 10 });
  state = withEvents(state, [serverHint("model.loaded", { model: "checkpoint:spark", device: "cpu", size_bytes: 7 })]);
  assert.deepEqual(state.models.get("checkpoint:spark"), { status: "loaded", device: "cpu", sizeBytes: 7 });
});

test("a server that said it would stop is forgiven once it is back", () => {
  const state = withEvents(EMPTY, [serverHint("server.draining", {})]);
  assert.ok(state.isDraining);
  assert.ok(withConnection(state, { phase: "lost" }).isDraining);
  assert.ok(!withConnection(state, { phase: "open" }).isDraining);
});

test("a batch of events makes one new state, whatever their number", () => {
  const state = withEvents(known(), [started]);
  const steps = Array.from({ length: 1000 }, (_, n) =>
    hint("step.finished", n + 1, { image: 0, step: n + 1, steps: 1000, progress: (n + 1) / 1000 }),
  );
  const after = withEvents(state, steps);
  assert.equal(job(after).live.step, 1000);
  assert.equal(job(state).live.step, undefined, "the state before stays as it was");
});
