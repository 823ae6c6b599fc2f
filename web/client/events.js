/** The names of the protocol. Made from protocol/ by `make generate`: changes go there. */

export const PROTOCOL_VERSION = 1;

export const JSON_SUBPROTOCOL = "safelight.v1.json";

export const KEY_SUBPROTOCOL_PREFIX = "safelight.key.";

/** Facts: stored, numbered, told to everybody. */
export const FACTS = Object.freeze(/** @type {const} */ ([
  "job.queued",
  "job.started",
  "job.requeued",
  "output.ready",
  "output.skipped",
  "job.warning",
  "job.succeeded",
  "job.failed",
  "job.cancelled"
]));

/** Hints of a job: a newer one replaces an older one. */
export const JOB_HINTS = Object.freeze(/** @type {const} */ ([
  "queue.moved",
  "step.finished",
  "preview.ready",
  "job.removed"
]));

/** Hints of the server's own. */
export const SERVER_HINTS = Object.freeze(/** @type {const} */ ([
  "model.loading",
  "model.loaded",
  "model.unloaded",
  "model.added",
  "model.failed",
  "server.draining"
]));

/** Facts after which a job is told nothing more. @type {ReadonlySet<string>} */
export const TERMINAL_EVENTS = new Set(["job.succeeded", "job.failed", "job.cancelled"]);

/** Where a job may stand. */
export const JOB_STATUSES = Object.freeze(/** @type {const} */ ([
  "queued",
  "running",
  "succeeded",
  "failed",
  "cancelled"
]));

/** Where it stays. @type {ReadonlySet<string>} */
export const TERMINAL_STATUSES = new Set(["succeeded", "failed", "cancelled"]);

/** The kinds of work there are. */
export const TASKS = Object.freeze(/** @type {const} */ ([
  "erase",
  "remove_text",
  "upscale",
  "remove_background",
  "segment",
  "adjust_mask",
  "restore_face",
  "describe",
  "text_to_image",
  "image_to_image",
  "inpaint",
  "outpaint",
  "enhance",
  "load_model",
  "test_pattern"
]));

/** The most urgent first. */
export const PRIORITIES = Object.freeze(/** @type {const} */ (["high", "normal", "low"]));

/** Which previews a job makes. */
export const PREVIEWS = Object.freeze(/** @type {const} */ (["none", "latest", "all"]));

/** What can go wrong, as the server names it. */
export const ERROR_CODES = Object.freeze(/** @type {const} */ ([
  "malformed",
  "invalid_params",
  "unknown_task",
  "bad_image",
  "image_too_large",
  "too_large",
  "fetch_failed",
  "unsupported_media_type",
  "not_acceptable",
  "method_not_allowed",
  "idempotency_mismatch",
  "unauthorized",
  "forbidden",
  "foreign_origin",
  "unknown_host",
  "model_missing",
  "bad_model",
  "not_found",
  "already_ended",
  "not_ended",
  "cursor_expired",
  "model_exists",
  "queue_full",
  "draining",
  "not_ready",
  "internal",
  "step_failed",
  "step_timeout",
  "out_of_memory",
  "attempts_exhausted"
]));

/** Why the server closes a socket. @type {Readonly<Record<number, string>>} */
export const CLOSE_CODES = Object.freeze({
  "1000": "normal: the client closed, or asked for something that is complete",
  "1002": "protocol error: a frame that breaks RFC 6455",
  "1003": "unsupported data: a binary frame where text is due, or the other way round",
  "1007": "invalid payload: a text frame that is not UTF-8",
  "1008": "policy: origin or host not allowed",
  "1009": "message too big",
  "1011": "no answer to a ping in time",
  "1012": "service restart: the server is draining; reconnect and resume",
  "4400": "malformed: a frame that is no JSON, no msgpack map or no known message, too often",
  "4401": "unauthorized: no key, an unknown key, or none within the time given",
  "4406": "no known subprotocol offered",
  "4408": "lagging: the client reads too slowly; reconnect and resume from the last seq"
});
