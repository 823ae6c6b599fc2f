// Programs that submit and cancel.

import { refusal, withClient } from "./watching.js";

const PATTERN = { task: "test_pattern", params: {} };

export async function cancelled({ whenHeld = false, ...input }, ask) {
  return withClient(input, async (safelight) => {
    const job = await safelight.submit(PATTERN);
    if (whenHeld) await ask("submitted");
    await job.cancel();
    const { status } = await job.wait();
    return { status, again: whenHeld ? null : await refusal(job.cancel()) };
  });
}

/** A submit that is refused, and the state of the connection then. */
export async function refused({ request = PATTERN, ...input }) {
  return withClient(input, async (safelight) => {
    const error = await refusal(safelight.submit(request));
    return { ...error, phase: safelight.connection.phase };
  });
}

/** A submit that is given up while the connection is lost. */
export async function givenUp(input) {
  return withClient(input, async (safelight) => {
    const phases = [];
    const controller = new AbortController();
    const atRest = new Promise((resolve) => {
      safelight.addEventListener("connection", ({ detail: { phase } }) => {
        phases.push(phase);
        if (phase === "lost") controller.abort(new Error("given up"));
        if (phase === "closed") resolve();
      });
    });
    const { message } = await refusal(safelight.submit(PATTERN, { signal: controller.signal }));
    await atRest;
    return { message, phases: [...phases] };
  });
}

/** Jobs that wait while the server goes away. */
export async function outlived(input, ask) {
  return withClient(input, async (safelight) => {
    const phases = [];
    safelight.addEventListener("connection", ({ detail }) => phases.push(detail.phase));
    const jobs = [await safelight.submit(PATTERN), await safelight.submit(PATTERN)];
    const waiting = jobs.map((job) => refusal(job.wait()));
    await ask("submitted");
    return { refusals: await Promise.all(waiting), phases };
  });
}
