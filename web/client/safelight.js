/** The client: submits jobs, watches them, and comes back when the connection breaks. */

import { Api } from "./api.js";
import { Connection } from "./connection.js";
import { SafelightError } from "./errors.js";
import { Feed } from "./feed.js";
import { Job } from "./job.js";
import { MineFeed } from "./mine-feed.js";
import { Rest } from "./rest.js";
import { ServerFeed } from "./server-feed.js";

/** @import { ConnectionState } from "./connection.js" */
/** @import { JobRequest } from "./wire.js" */

/**
 * @typedef {object} SafelightOptions
 * @property {string} [url] where the server answers; by default where the page came from
 * @property {string | null} [key] an API key, where the server wants one
 * @property {number} [patienceS] how long to try, at first and after a break; then whoever waits is told
 *   (`unreachable`, `connection_lost`). By default for ever; 0 tells at once
 * @property {boolean} [waitForKey] when the server refuses the key, whoever waits goes on waiting until `setKey`; by
 *   default they are told (`unauthorized`)
 * @property {typeof globalThis.WebSocket} [WebSocket] where there is no global one (Node before 22)
 * @property {typeof globalThis.fetch} [fetch]
 * @property {number} [firstDelayMs] before the first try after a break; doubles from try to try up to 10 s
 * @property {number} [heartbeatMs] how long the server may be silent before it is asked whether it is there
 */

/** Of several connections, the state of the one that is worst off is told. */
const WORST_FIRST = /** @type {const} */ (["refused", "lost", "connecting", "open", "closed"]);

/**
 * Every call may be given an `AbortSignal`; what it ends throws the signal's reason.
 *
 * Two connections at most do the work of any number of jobs: one for questions, single jobs and the server's own
 * events, and one for `mine`, because on a shared one what is replayed for the watcher of a job would look like news.
 *
 * Fires `connection`, a `CustomEvent` whose `detail` is a `ConnectionState`, whenever `connection` has changed.
 */
export class Safelight extends EventTarget {
  /** @type {string | null} */
  #key;
  #rest;
  #options;
  #main;
  /** @type {Set<Connection>} */
  #connections = new Set();
  #listening = new AbortController();
  #isClosed = false;
  /** @type {ConnectionState} how the connections are; see the event of the same name */
  connection = { phase: "closed", reason: "", retryInMs: null, code: null };

  /** @param {SafelightOptions} [options] */
  constructor({
    url = globalThis.location?.origin,
    key = null,
    patienceS = Number.POSITIVE_INFINITY,
    waitForKey = false,
    WebSocket = globalThis.WebSocket,
    fetch = globalThis.fetch.bind(globalThis),
    firstDelayMs = 100,
    heartbeatMs = 20_000,
  } = {}) {
    super();
    if (url === undefined) throw new TypeError("url: needed where there is no page");
    if (WebSocket === undefined) throw new TypeError("WebSocket: there is no global one here; pass a constructor");
    const base = url.replace(/\/+$/, "");
    this.#key = key || null;
    this.#rest = new Rest(base, () => this.#key, fetch);
    /** The REST calls. */
    this.api = new Api(this.#rest);
    this.#options = {
      url: `${base.replace(/^http/, "ws")}/v1/ws`,
      key: () => this.#key,
      WebSocket,
      patienceS,
      waitForKey,
      firstDelayMs,
      heartbeatMs,
      probe: () => this.#probe(),
      onState: () => this.#tell(),
    };
    this.#main = this.#connect();
    this.#listen();
  }

  /** Where the server answers. */
  get url() {
    return this.#rest.base;
  }

  /** Whether there is a key to show. */
  get hasKey() {
    return this.#key !== null;
  }

  /**
   * Show another key, or none: connections begin anew with it, and what was refused for its key goes on.
   *
   * @param {string | null} key
   */
  setKey(key) {
    this.#key = key || null;
    for (const connection of [...this.#connections]) connection.keyChanged();
  }

  /** Try to come back now, rather than after the wait that is going on. */
  retryNow() {
    for (const connection of [...this.#connections]) connection.retryNow();
  }

  /** Leave for good; accepted jobs go on without us. */
  close() {
    this.#isClosed = true;
    this.#listening.abort();
    for (const connection of [...this.#connections]) connection.close();
  }

  // Jobs

  /**
   * Submit a job: once, however often the connection breaks before the answer.
   *
   * @param {JobRequest} request
   * @param {{idempotencyKey?: string, subscribe?: boolean, signal?: AbortSignal}} [options] `idempotencyKey`: by
   *   default a new one. `subscribe`: false where its events come another way, by `mine`. An aborted submit may have been
   *   accepted.
   * @returns {Promise<Job>} once it is stored
   * @throws {SafelightError} the server refused
   */
  async submit(request, { idempotencyKey = newKey(), subscribe = true, signal } = {}) {
    const message = { type: "submit", job: request, idempotency_key: idempotencyKey, subscribe };
    const { job, feed } = await this.#main.ask(message, { signal });
    if (!job) throw new SafelightError("unexpected_answer", "the server accepted a job and did not say which");
    if (feed !== undefined) this.#leaveWhenDone(this.#main, feed);
    return new Job(this, job, feed);
  }

  /**
   * The events of a job: every fact after `after`, once and in order, and hints as they come; ends after the terminal
   * fact. Comes back by itself after a break.
   *
   * @param {string} jobId
   * @param {{after?: number, signal?: AbortSignal}} [options] `after`: the last `seq` that is known already
   */
  watch(jobId, { after = 0, signal } = {}) {
    const known = this.#main.subscriptionTo(jobId);
    if (known instanceof Feed && known.start <= after) return known.read({ after, signal });
    // Somebody watches it from a later fact on: two subscriptions to one job need two sockets.
    const connection = known === undefined ? this.#main : this.#connect();
    const feed = new Feed(jobId, after);
    this.#leaveWhenDone(connection, feed);
    const reader = feed.read({ after, signal });
    if (!signal?.aborted) connection.subscribe(feed);
    return reader;
  }

  /**
   * The events of all jobs that the key may see, as they come; from `cursor` on, or from now on. Every fact has the
   * `cursor` from which to go on after it. Never ends by itself.
   *
   * @param {{cursor?: string | null, signal?: AbortSignal}} [options]
   * @throws {SafelightError} `cursor_expired`: begin anew from `api.jobs()`
   */
  mine({ cursor = null, signal } = {}) {
    const connection = this.#connect();
    const feed = new MineFeed({ cursor, signal, onLeave: () => this.#leave(connection) });
    if (!feed.hasEnded) connection.subscribe(feed);
    return feed.reader;
  }

  /**
   * What the server tells of itself: models on their way, in memory and out of it, and its stopping. Never ends by
   * itself.
   *
   * @param {{signal?: AbortSignal}} [options]
   */
  serverEvents({ signal } = {}) {
    const known = this.#main.subscriptionTo("server");
    if (known instanceof ServerFeed) return known.read({ signal });
    const feed = new ServerFeed();
    feed.onDone = () => this.#main.unsubscribe(feed);
    const reader = feed.read({ signal });
    if (!signal?.aborted) this.#main.subscribe(feed);
    return reader;
  }

  /**
   * Ask that a job be cancelled; the event `job.cancelled` says that it was.
   *
   * @param {string} jobId
   * @param {{signal?: AbortSignal}} [options]
   * @throws {SafelightError} `already_ended`, `not_found`
   */
  async cancel(jobId, options) {
    await this.#main.ask({ type: "cancel", job_id: jobId }, options);
  }

  /**
   * Ask that a running job leave out the image it is at; the event `output.skipped` says that it did. Asked once, over
   * HTTP: repeated after a connection that broke, it could cost another image.
   *
   * @param {string} jobId
   * @param {{signal?: AbortSignal}} [options]
   * @throws {SafelightError} `already_ended`, `not_found`; `invalid_params`: it waits, or makes no several;
   *   `unreachable`: whether the server heard is not known
   */
  async skip(jobId, options) {
    await this.api.skip(jobId, options);
  }

  // Connections

  #connect() {
    if (this.#isClosed) throw new SafelightError("closed", "the client was closed");
    const connection = new Connection(this.#options);
    this.#connections.add(connection);
    return connection;
  }

  /** @param {Connection} connection */
  #leave(connection) {
    this.#connections.delete(connection);
    connection.close();
    this.#tell();
  }

  /**
   * @param {Connection} connection
   * @param {Feed} feed
   */
  #leaveWhenDone(connection, feed) {
    feed.onDone = () => {
      if (connection === this.#main) connection.unsubscribe(feed);
      else this.#leave(connection);
    };
  }

  /** What is wrong with a server that lets no socket be opened; null if it cannot be told. */
  async #probe() {
    try {
      const answer = await this.api.live({ signal: AbortSignal.timeout(5000) });
      if (answer?.status === "ok") return null;
      return new SafelightError("unexpected_answer", `what answers at ${this.url} is no Safelight server`);
    } catch (error) {
      const isFinal = error instanceof SafelightError && error.code !== "unreachable" && (error.status ?? 500) < 500;
      return isFinal ? error : null;
    }
  }

  /** Come back at once when there is a network again, or somebody looks at the page again. */
  #listen() {
    const { signal } = this.#listening;
    const page = globalThis.document;
    if (page === undefined) return;
    globalThis.addEventListener("online", () => this.retryNow(), { signal });
    globalThis.addEventListener("pageshow", ({ persisted }) => persisted && this.retryNow(), { signal });
    page.addEventListener("visibilitychange", () => page.visibilityState === "visible" && this.retryNow(), { signal });
  }

  #tell() {
    const states = [...this.#connections].map(({ state }) => state);
    const phase = WORST_FIRST.find((worst) => states.some((state) => state.phase === worst)) ?? "closed";
    const told = states.find((state) => state.phase === phase) ?? this.connection;
    const old = this.connection;
    const isSame = told.phase === old.phase && told.reason === old.reason && told.code === old.code;
    if (isSame && told.retryInMs === old.retryInMs) return;
    this.connection = told;
    this.dispatchEvent(new CustomEvent("connection", { detail: told }));
  }
}

/** Nobody else's: 128 random bits. `crypto.randomUUID` is missing on pages that did not come over HTTPS. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
