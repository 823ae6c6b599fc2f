/** Waiting for the end of a job, as the store hears of it. */

import { app } from "../app.js";
import { hasEnded } from "../state.js";

/** @typedef {import("../state.js").JobState} JobState */

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @param {(entry: JobState) => void} [tell] - whatever is heard of it.
 * @returns {Promise<JobState>} once it has succeeded.
 * @throws what it failed with: an error with the server's `code`; an `AbortError` if it was cancelled.
 */
export async function endOf(id, signal, tell = () => {}) {
  if (!app.store.state.jobs.has(id)) app.store.put([await app.client.api.job(id, { signal })]);
  const watching = new AbortController();
  try {
    const { job, ...rest } = await new Promise((/** @type {(entry: JobState) => void} */ resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true, signal: watching.signal });
      if (signal.aborted) reject(signal.reason);
      app.store.watch(
        (state) => state.jobs.get(id),
        (entry) => {
          if (entry === undefined) return;
          tell(entry);
          if (hasEnded(entry)) resolve(entry);
        },
        { signal: watching.signal },
      );
    });
    if (job.status === "cancelled") throw new DOMException("the job was cancelled", "AbortError");
    if (job.status === "failed") throw Object.assign(new Error(job.error?.message), job.error);
    return { job, ...rest };
  } finally {
    watching.abort();
  }
}
