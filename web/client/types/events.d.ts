/** The names of the protocol. Made from protocol/ by `make generate`: changes go there. */
export declare const PROTOCOL_VERSION = 1;
export declare const JSON_SUBPROTOCOL = "safelight.v1.json";
export declare const KEY_SUBPROTOCOL_PREFIX = "safelight.key.";
/** Facts: stored, numbered, told to everybody. */
export declare const FACTS: readonly ["job.queued", "job.started", "job.requeued", "output.ready", "output.skipped", "job.warning", "job.succeeded", "job.failed", "job.cancelled"];
/** Hints of a job: a newer one replaces an older one. */
export declare const JOB_HINTS: readonly ["queue.moved", "step.finished", "preview.ready", "job.removed"];
/** Hints of the server's own. */
export declare const SERVER_HINTS: readonly ["model.loading", "model.loaded", "model.unloaded", "model.added", "model.failed", "server.draining"];
/** Facts after which a job is told nothing more. @type {ReadonlySet<string>} */
export declare const TERMINAL_EVENTS: ReadonlySet<string>;
/** Where a job may stand. */
export declare const JOB_STATUSES: readonly ["queued", "running", "succeeded", "failed", "cancelled"];
/** Where it stays. @type {ReadonlySet<string>} */
export declare const TERMINAL_STATUSES: ReadonlySet<string>;
/** The kinds of work there are. */
export declare const TASKS: readonly ["erase", "remove_text", "upscale", "remove_background", "segment", "adjust_mask", "restore_face", "describe", "text_to_image", "image_to_image", "inpaint", "outpaint", "enhance", "load_model", "test_pattern"];
/** The most urgent first. */
export declare const PRIORITIES: readonly ["high", "normal", "low"];
/** Which previews a job makes. */
export declare const PREVIEWS: readonly ["none", "latest", "all"];
/** What can go wrong, as the server names it. */
export declare const ERROR_CODES: readonly ["malformed", "invalid_params", "unknown_task", "bad_image", "image_too_large", "too_large", "fetch_failed", "unsupported_media_type", "not_acceptable", "method_not_allowed", "idempotency_mismatch", "unauthorized", "forbidden", "foreign_origin", "unknown_host", "model_missing", "bad_model", "not_found", "already_ended", "not_ended", "cursor_expired", "model_exists", "queue_full", "draining", "not_ready", "internal", "step_failed", "step_timeout", "out_of_memory", "attempts_exhausted"];
/** Why the server closes a socket. @type {Readonly<Record<number, string>>} */
export declare const CLOSE_CODES: Readonly<Record<number, string>>;
