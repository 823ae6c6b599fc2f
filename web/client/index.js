/**
 * The Safelight client for browsers and Node: submit jobs, watch each of them develop, lose nothing.
 *
 *     const safelight = new Safelight({ url: "http://127.0.0.1:8765" });
 *     const job = await safelight.submit({ task: "text_to_image", params: { prompt: "a red apple" } });
 *     for await (const event of job.events()) console.log(event.type, event.data);
 */

export { Api } from "./api.js";
export { CLIENT_ERROR_CODES, SafelightError } from "./errors.js";
export {
  ERROR_CODES,
  FACTS,
  JOB_HINTS,
  JOB_STATUSES,
  PREVIEWS,
  PRIORITIES,
  SERVER_HINTS,
  TASKS,
  TERMINAL_EVENTS,
  TERMINAL_STATUSES,
} from "./events.js";
export { isTerminal } from "./feed.js";
export { follow } from "./follow.js";
export { Job } from "./job.js";
export { isFact } from "./reader.js";
export { Safelight } from "./safelight.js";

/** @typedef {import("./connection.js").ConnectionState} ConnectionState */
/** @typedef {import("./safelight.js").SafelightOptions} SafelightOptions */
/** @typedef {import("./wire.js").SafelightEvent} SafelightEvent */
/** @typedef {import("./wire.js").Job} JobSnapshot */
/** @typedef {import("./wire.js").JobRequest} JobRequest */
/** @typedef {import("./wire.js").OutputReady} Output */
/** @typedef {import("./wire.js").ModelInfo} ModelInfo */
/** @typedef {import("./wire.js").StyleInfo} StyleInfo */
/** @typedef {import("./wire.js").PresetInfo} PresetInfo */
/** @typedef {import("./wire.js").PictureRecipe} PictureRecipe */
/** @typedef {import("./api.js").Upload} Upload */
/** @typedef {import("./api.js").Readiness} Readiness */
/** @typedef {import("./wire.js").ServerInfo} ServerInfo */
