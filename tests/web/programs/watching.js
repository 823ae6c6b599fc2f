// Programs that watch jobs. Each answers with plain values.

import { Safelight, isFact } from "../../../web/client/index.js";

const PATTERN = { task: "test_pattern", params: {} };

/** A client that comes back fast, for as long as `work` takes. */
export async function withClient({ url, options = {} }, work) {
  const safelight = new Safelight({ url, firstDelayMs: 5, ...options });
  try {
    return await work(safelight);
  } finally {
    safelight.close();
  }
}

/** Its refusal as plain values; throws when there was none. */
export async function refusal(promise) {
  try {
    await promise;
  } catch ({ name, code, message, field, status, retryAfterS }) {
    return { name, code: code ?? null, message, field: field ?? null, status: status ?? null, retryAfterS: retryAfterS ?? null };
  }
  throw new Error("nothing was refused");
}

export async function listOf(events) {
  const list = [];
  for await (const event of events) list.push(event);
  return list;
}

export const plain = ({ type, seq, n = null, attempt = null, data }) => {
  const bytes = data.bytes === undefined ? null : Array.from(data.bytes);
  return { type, seq, n, attempt, bytes, step: data.step ?? null };
};

const factsOf = async (events) => (await listOf(events)).filter(isFact).map(({ seq }) => seq);

/** The facts of so many jobs at once, `rounds` times; `rounds` 0: until the test says that it is enough. */
export async function facts({ jobs = 1, rounds = 1, request = PATTERN, ...input }, ask) {
  return withClient(input, async (safelight) => {
    const told = [];
    for (let round = 0; rounds === 0 ? await ask(round) : round < rounds; round += 1) {
      const submitted = Array.from({ length: jobs }, async () => factsOf((await safelight.submit(request)).events()));
      told.push(...(await Promise.all(submitted)));
    }
    return told;
  });
}

/** All events of one job, as they come. */
export async function events({ request = PATTERN, ...input }) {
  return withClient(input, async (safelight) => (await listOf((await safelight.submit(request)).events())).map(plain));
}

/** The events of a job that has ended. */
export async function lateEvents(input) {
  return withClient(input, async (safelight) => {
    const job = await safelight.submit(PATTERN);
    await job.wait();
    return { kept: (await listOf(job.events())).map(plain), asked: (await listOf(safelight.watch(job.id))).map(plain) };
  });
}

/** Two readers of one job, one of whom knows the first facts already. */
export async function twoReaders(input) {
  return withClient(input, async (safelight) => {
    const job = await safelight.submit(PATTERN);
    return Promise.all([factsOf(job.events()), factsOf(job.events({ after: 2 })), factsOf(safelight.watch(job.id, { after: 3 }))]);
  });
}

/** Two readers of one job, the second of whom wants what the first did not. */
export async function earlierToo({ jobId, ...input }) {
  return withClient(input, async (safelight) => {
    const late = safelight.watch(jobId, { after: 3 });
    return Promise.all([factsOf(late), factsOf(safelight.watch(jobId))]);
  });
}

/** A second client that knows the job up to a fact. */
export async function resumed({ after, jobId, ...input }) {
  return withClient(input, (safelight) => factsOf(safelight.watch(jobId, { after })));
}

/** A job whose events are read up to its start, then left; what comes afterwards is asked for anew. */
export async function leaveAndComeBack(input, ask) {
  return withClient(input, async (safelight) => {
    const job = await safelight.submit(PATTERN);
    const first = [];
    for await (const event of job.events()) {
      first.push(event.seq);
      if (event.type === "job.started") break;
    }
    await ask("left");
    const again = await factsOf(job.events());
    return { first, again };
  });
}

/** A reader that does not read until the job has ended. */
export async function slowReader(input, ask) {
  return withClient(input, async (safelight) => {
    const job = await safelight.submit(PATTERN);
    const slow = job.events();
    for await (const event of job.events()) if (event.type === "output.ready" && event.data.index === 1) await ask("held");
    return (await listOf(slow)).map(plain);
  });
}

/** One job that does not exist beside one that does. */
export async function missingBeside({ jobId, ...input }) {
  return withClient(input, async (safelight) => {
    const job = await safelight.submit(PATTERN);
    const refused = await refusal(listOf(safelight.watch(jobId)));
    return { refused, status: (await job.wait()).status };
  });
}

/** Reading that is aborted throws the reason, and reads no further. */
export async function aborted(input, ask) {
  return withClient(input, async (safelight) => {
    const job = await safelight.submit(PATTERN);
    const controller = new AbortController();
    const read = [];
    const reading = (async () => {
      for await (const event of job.events({ signal: controller.signal })) {
        read.push(event.type);
        if (event.type === "job.started") controller.abort(new Error("enough"));
      }
    })();
    const { message } = await refusal(reading);
    await ask("left");
    return { read, message };
  });
}
