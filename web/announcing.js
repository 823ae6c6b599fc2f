/** Tells people who do not look at a job how it goes: by a screen reader, and in the title of the window. */

import { app } from "./app.js";
import { hasEnded } from "./state.js";
import { errorWords, number, t } from "./words/words.js";

/** @typedef {import("./state.js").State} State */

/**
 * @param {AbortSignal} signal
 */
export function announceJobs(signal) {
  /** @type {Map<string, string>} */
  const known = new Map();
  let isFirst = true;
  let told = "";
  app.store.watch(
    (state) => state.jobs,
    (jobs) => {
      let progress = 1;
      let running = 0;
      for (const [id, entry] of jobs) {
        const { status, task, error } = entry.job;
        const before = known.get(id);
        known.set(id, status);
        if (status === "running") {
          running += 1;
          progress = Math.min(progress, entry.live.progress ?? 0);
        }
        // One that is over before it could be looked up is news as well.
        if (isFirst || before === status || (before === undefined && !entry.isYoung)) continue;
        const name = t(`task.${task}`);
        if (status === "running") app.notices.announce(t("announce.started", { task: name }));
        else if (status === "failed") {
          app.notices.announce(t("announce.failed", { task: name, reason: errorWords(error) }));
        } else if (hasEnded(entry)) app.notices.announce(t(`announce.${status}`, { task: name }));
      }
      isFirst = false;
      const percent = number(progress, { style: "percent" });
      const title = running === 0 ? "Safelight" : t("shell.working", { percent });
      // Setting it costs the browser much, also when it stays the same.
      if (title !== told) document.title = title;
      told = title;
    },
    { signal },
  );
}
