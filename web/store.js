/** Holds the state, and brings it up to date from the client: a listing once, then every event. */

import { SafelightError } from "./client/index.js";
import { EMPTY, unknownJobs, withConnection, withEvents, withJobs, withoutJobs } from "./state.js";

/**
 * @typedef {import("./client/index.js").Safelight} Safelight
 * @typedef {import("./client/index.js").SafelightEvent} SafelightEvent
 * @typedef {import("./state.js").State} State
 */

/** How many of the newest jobs are looked up at the start. */
const NEWEST = 60;
/** So many jobs at once that it is better to list them than to ask for each. */
const MANY = 4;
/** The server lists no more at once. */
const MOST = 200;
/** While nobody looks, nothing is drawn: then changes are told this seldom. */
const HIDDEN_MS = 500;

export class Store {
  /** @type {State} */
  state = EMPTY;
  /** @type {Set<(state: State, before: State) => void>} */
  #readers = new Set();
  /** @type {SafelightEvent[]} */
  #arrived = [];
  #isTellingDue = false;
  /** @type {State} */
  #told = EMPTY;
  /** @type {Map<string, SafelightEvent[]>} what was told of jobs that nothing else is known of yet. */
  #strangers = new Map();
  #isLookingUp = false;
  /** Whether the newest jobs are known; what came before the events is in a listing alone. */
  #isListed = false;

  /** @param {Safelight} client */
  constructor(client) {
    this.client = client;
    client.addEventListener("connection", (event) => {
      this.change((state) => withConnection(state, /** @type {CustomEvent} */ (event).detail));
    });
  }

  /**
   * Be told of changes of a part of the state: at once, then at most once a frame.
   *
   * @template T
   * @param {(state: State) => T} part - told of again only when this gives something else.
   * @param {(part: T, state: State) => void} tell
   * @param {{signal: AbortSignal}} options
   */
  watch(part, tell, { signal }) {
    let last = part(this.state);
    /** @param {State} state */
    const reader = (state) => {
      const now = part(state);
      if (Object.is(now, last)) return;
      last = now;
      tell(now, state);
    };
    this.#readers.add(reader);
    signal.addEventListener("abort", () => this.#readers.delete(reader));
    tell(last, this.state);
  }

  /** @param {(state: State) => State} how */
  change(how) {
    this.state = how(this.state);
    this.#tellSoon();
  }

  /**
   * Keep up with the server until `signal` is aborted. Errors that trying again would not mend are shown by the
   * connection's state.
   *
   * @param {AbortSignal} signal
   */
  async follow(signal) {
    await Promise.all([this.#followJobs(signal), this.#followServer(signal)]);
  }

  /**
   * Take jobs as the server tells them.
   *
   * @param {readonly import("./state.js").JobSnapshot[]} jobs
   */
  put(jobs) {
    this.change((state) => withJobs(state, jobs));
  }

  /**
   * Take a job that was submitted just now.
   *
   * @param {import("./state.js").JobSnapshot} job
   */
  add(job) {
    this.change((state) => withJobs(state, [job], new Set([job.id])));
  }

  /** @param {readonly string[]} ids */
  remove(ids) {
    this.change((state) => withoutJobs(state, ids));
  }

  /** @param {AbortSignal} signal */
  async #followJobs(signal) {
    let hasBegun = false;
    // The subscription is there before the listing, so that nothing falls between them.
    const listing = () => {
      if (hasBegun && !this.#isListed && this.client.connection.phase === "open") void this.#list(signal);
    };
    this.client.addEventListener("connection", listing, { signal });
    while (!signal.aborted) {
      try {
        const events = this.client.mine({ signal });
        hasBegun = this.#isListed = false;
        const begun = () => {
          hasBegun = true;
          listing();
        };
        events.begun.then(begun, () => {}); // what went wrong is told by the reading
        for await (const event of events) this.#take(event);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof SafelightError) || error.code !== "cursor_expired") throw error;
      }
    }
  }

  /** @param {AbortSignal} signal */
  async #list(signal) {
    this.#isListed = true;
    try {
      const { jobs } = await this.client.api.jobs({ limit: NEWEST, signal });
      this.put(jobs);
    } catch (error) {
      this.#isListed = false; // the next time the connection opens
      if (!(error instanceof SafelightError) && !signal.aborted) throw error;
    }
  }

  /** @param {AbortSignal} signal */
  async #followServer(signal) {
    for await (const event of this.client.serverEvents({ signal })) this.#take(event);
  }

  /** @param {SafelightEvent} event */
  #take(event) {
    this.#arrived.push(event);
    this.#tellSoon();
  }

  #tellSoon() {
    if (this.#isTellingDue) return;
    this.#isTellingDue = true;
    const tell = () => {
      this.#isTellingDue = false;
      this.#tell();
    };
    if (globalThis.document?.hidden ?? true) setTimeout(tell, HIDDEN_MS);
    else requestAnimationFrame(tell);
  }

  #tell() {
    const events = this.#arrived;
    this.#arrived = [];
    const strangers = unknownJobs(this.state, events);
    this.state = withEvents(this.state, events);
    if (strangers.length > 0) this.#meet(new Set(strangers), events);
    const before = this.#told;
    this.#told = this.state;
    for (const reader of [...this.#readers]) reader(this.state, before);
  }

  /**
   * Jobs of another tab or program: ask what they are, then take their events again.
   *
   * @param {ReadonlySet<string>} ids
   * @param {readonly SafelightEvent[]} events
   */
  #meet(ids, events) {
    for (const event of events) {
      const { job_id: id } = event;
      if (id === undefined || !ids.has(id)) continue;
      const told = this.#strangers.get(id);
      if (told === undefined) this.#strangers.set(id, [event]);
      else told.push(event);
    }
    if (!this.#isLookingUp) void this.#lookUp();
  }

  async #lookUp() {
    this.#isLookingUp = true;
    try {
      while (this.#strangers.size > 0) {
        const ids = [...this.#strangers.keys()];
        const jobs = await this.#ask(ids);
        // What has been told meanwhile is among it.
        const told = ids.flatMap((id) => this.#strangers.get(id) ?? []);
        for (const id of ids) this.#strangers.delete(id);
        const young = new Set(told.flatMap((event) => (event.type === "job.queued" ? [event.job_id] : [])));
        this.change((state) => withEvents(withJobs(state, jobs, young), told));
      }
    } finally {
      this.#isLookingUp = false;
    }
  }

  /**
   * @param {readonly string[]} ids
   * @returns {Promise<import("./state.js").JobSnapshot[]>} those that are there; many are asked for in one listing.
   */
  async #ask(ids) {
    try {
      const { jobs } = ids.length < MANY ? { jobs: [] } : await this.client.api.jobs({ limit: Math.min(ids.length + MANY, MOST) });
      const listed = new Set(jobs.map((job) => job.id));
      const others = await Promise.all(ids.filter((id) => !listed.has(id)).map((id) => this.#askFor(id)));
      return [...jobs, ...others.filter((job) => job !== undefined)];
    } catch (error) {
      if (!(error instanceof SafelightError)) throw error;
      return [];
    }
  }

  /**
   * @param {string} id
   * @returns {Promise<import("./state.js").JobSnapshot | undefined>}
   */
  async #askFor(id) {
    try {
      return await this.client.api.job(id);
    } catch (error) {
      if (error instanceof SafelightError && error.code === "not_found") return undefined; // removed since
      throw error;
    }
  }
}
