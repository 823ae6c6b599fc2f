// Programs that follow jobs of the real server, alone and all of one's own.

import { isFact, isTerminal } from "../../../web/client/index.js";
import { listOf, plain, refusal, withClient } from "./watching.js";

const SMALL = { width: 16, height: 16 };

/** So many jobs at a time until the test says that it is enough: the types of the facts of each, and their numbers. */
export async function throughCuts({ jobs, ...input }, ask) {
  const request = { task: "test_pattern", params: { steps: 8, step_ms: 2, images: 3, ...SMALL } };
  return withClient(input, async (safelight) => {
    const told = [];
    const follow = async () => {
      const job = await safelight.submit(request);
      const facts = (await listOf(job.events())).filter(isFact);
      told.push({ types: facts.map(({ type }) => type), seqs: facts.map(({ seq }) => seq), status: (await job.wait()).status });
    };
    while (await ask("more")) await Promise.all(Array.from({ length: jobs }, follow));
    return told;
  });
}

/** The same, with everything told by `mine`. */
export async function mineThroughCuts({ jobs, ...input }, ask) {
  const request = { task: "test_pattern", params: { steps: 2, step_ms: 2, images: 6, ...SMALL }, previews: "none" };
  return withClient(input, async (safelight) => {
    const first = await safelight.submit(request);
    const { cursor } = (await listOf(first.events())).findLast(isFact);
    const facts = {};
    const wanted = new Set();
    const submitSome = async () => {
      const submitted = Array.from({ length: jobs }, () => safelight.submit(request, { subscribe: false }));
      for (const { id } of await Promise.all(submitted)) wanted.add(id);
    };
    await submitSome();
    for await (const event of safelight.mine({ cursor })) {
      if (!isFact(event)) continue;
      (facts[event.job_id] ??= []).push(event.seq);
      if (isTerminal(event)) wanted.delete(event.job_id);
      if (wanted.size > 0) continue;
      if (!(await ask("more"))) break;
      await submitSome();
    }
    return { facts, first: first.id };
  });
}

/** What is told of all jobs by one client, and what another one is told that goes on from there. */
export async function mineGoesOn(input) {
  const request = { task: "test_pattern", params: { steps: 0, ...SMALL } };
  const began = await withClient(input, async (safelight) => {
    const job = await safelight.submit(request);
    const events = await listOf(job.events());
    return { id: job.id, cursor: events.find(({ type }) => type === "job.started").cursor };
  });
  return withClient(input, async (safelight) => {
    const job = await safelight.submit(request, { subscribe: false });
    const told = [];
    for await (const event of safelight.mine({ cursor: began.cursor })) {
      if (isFact(event)) told.push([event.job_id, event.seq, event.type]);
      if (event.job_id === job.id && isTerminal(event)) break;
    }
    return { first: began.id, second: job.id, told };
  });
}

/** What is told of jobs, from the moment on at which the server has agreed to tell. */
export async function mineFromNow(input) {
  return withClient(input, async (safelight) => {
    const events = safelight.mine();
    await events.begun;
    const job = await safelight.submit({ task: "test_pattern", params: { steps: 0, ...SMALL } }, { subscribe: false });
    const told = [];
    for await (const event of events) {
      if (event.job_id === job.id && isFact(event)) told.push(event.seq);
      if (event.job_id === job.id && isTerminal(event)) break;
    }
    return told;
  });
}

/** What an old cursor is answered, and whether the connection is of use afterwards. */
export async function expired({ cursor, ...input }) {
  return withClient(input, async (safelight) => {
    const refused = await refusal(listOf(safelight.mine({ cursor })));
    const job = await safelight.submit({ task: "test_pattern", params: { steps: 0, ...SMALL } });
    return { refused, status: (await job.wait()).status };
  });
}

/** A job that is watched by its own feed and by `mine` while something happens to the server at its second fact. */
export async function throughTrouble({ request, ...input }, ask) {
  return withClient(input, async (safelight) => {
    const phases = [];
    safelight.addEventListener("connection", ({ detail }) => phases.push(detail.phase));
    const job = await safelight.submit(request);
    const facts = [];
    const mine = [];
    const following = (async () => {
      for await (const event of safelight.mine()) {
        if (isFact(event)) mine.push(event.seq);
        if (isTerminal(event)) break;
      }
    })();
    for await (const event of job.events()) {
      if (!isFact(event)) continue;
      facts.push([event.seq, event.type]);
      if (facts.length === 2) await ask("trouble");
    }
    await following;
    const ended = await job.wait();
    const blob = await job.output(0);
    return { facts, mine, phases, status: ended.status, seq: ended.seq, outputBytes: blob.size };
  });
}

/** A job whose key is revoked while it runs; another key that may see it is shown once the client says it was refused. */
export async function revoked({ otherKey, ...input }, ask) {
  const options = { ...input.options, waitForKey: true };
  return withClient({ ...input, options }, async (safelight) => {
    const job = await safelight.submit({ task: "test_pattern", params: { steps: 1000, step_ms: 20, ...SMALL } });
    const refused = new Promise((resolve) => {
      safelight.addEventListener("connection", ({ detail }) => detail.phase === "refused" && resolve(detail));
    });
    const facts = [];
    const watching = (async () => {
      for await (const event of job.events()) {
        if (!isFact(event)) continue;
        facts.push(event.seq);
        if (facts.length === 2) await ask("revoke");
      }
    })();
    const { code } = await refused;
    safelight.setKey(otherKey);
    await job.cancel();
    await watching;
    return { code, facts, phase: safelight.connection.phase };
  });
}

/** What the server tells of itself, until something of that type. */
export async function serverEvents({ until, ...input }, ask) {
  return withClient(input, async (safelight) => {
    const told = [];
    const models = await safelight.api.models();
    const events = safelight.serverEvents();
    void events.begun.then(() => ask("begun"));
    for await (const event of events) {
      told.push({ type: event.type, data: event.data });
      if (event.type === until) break;
    }
    return { told, models: models.models.length };
  });
}

/** Comes back at once when the network does, however long it would have waited. */
export async function wokenUp(input, ask) {
  return withClient({ ...input, options: { firstDelayMs: 3_600_000 } }, async (safelight) => {
    const lost = new Promise((resolve) => {
      safelight.addEventListener("connection", ({ detail }) => detail.phase === "lost" && resolve(detail.retryInMs));
    });
    const job = await safelight.submit({ task: "test_pattern", params: { steps: 20, step_ms: 20, ...SMALL } });
    await ask("cut");
    const retryInMs = await lost;
    const began = performance.now();
    const opened = new Promise((resolve) => {
      safelight.addEventListener("connection", ({ detail }) => detail.phase === "open" && resolve(performance.now()));
    });
    if (globalThis.document) globalThis.dispatchEvent(new Event("online"));
    else safelight.retryNow();
    const { status } = await job.wait();
    return { retryInMs, waitedMs: (await opened) - began, status };
  });
}

/** A job from its first fact to its output. */
export async function developed({ params, ...input }) {
  return withClient(input, async (safelight) => {
    const job = await safelight.submit({ task: "test_pattern", params, previews: "all", labels: { order: "4711" } });
    const events = (await listOf(job.events())).map(plain);
    const ended = await job.wait();
    const blob = await job.output(0);
    const bytes = Array.from(new Uint8Array(await blob.arrayBuffer()).slice(0, 4));
    return { events, ended, kind: blob.type, bytes };
  });
}
