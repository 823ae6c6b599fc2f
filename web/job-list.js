/**
 * The jobs that have ended, newest first, as far down as somebody has looked: however many there are, few are kept.
 *
 * Ids are kept of all that were passed, jobs of those near what is shown; `need` asks again for those that were dropped.
 */

import { TERMINAL } from "./state.js";

/**
 * @typedef {import("./client/index.js").JobSnapshot} Job
 * @typedef {import("./client/index.js").Safelight} Safelight
 *
 * @typedef {object} Filter - What is listed; what is left out does not matter.
 * @property {string} [status] - one of the terminal ones.
 * @property {string} [task]
 * @property {string} [q] - words of the prompt.
 * @property {string} [before] - a day, `2026-11-21`: what was asked for up to its end, by the reader's clock.
 */

/** Jobs asked for at once. */
const PAGE = 100;
/** Jobs kept beside the ids; a screen shows some dozens. */
const KEPT = 1000;

export class JobList extends EventTarget {
  /** @type {string[]} newest first. */
  ids = [];
  /** Whether the first page has come. */
  hasBegun = false;
  /** Whether the oldest job is among `ids`. */
  isComplete = false;
  /** @type {unknown} what went wrong at the last try to read on; undefined once it has worked. */
  error = undefined;
  /** @type {Map<string, Job>} the last one used is the last one here. */
  #jobs = new Map();
  #leaving = new AbortController();
  /** @type {string | undefined} */
  #next;
  #isReadingOn = false;
  /** @type {Set<string>} the jobs after these are being asked for again. */
  #asked = new Set();

  /**
   * @param {Safelight} client
   * @param {Filter} filter
   */
  constructor(client, filter) {
    super();
    this.client = client;
    this.filter = filter;
    this.#next = filter.before === undefined ? undefined : lastIdOf(filter.before);
  }

  /** Ask for nothing more. */
  close() {
    this.#leaving.abort();
  }

  /**
   * @param {string} id
   * @returns {Job | undefined} nothing if it was dropped, or not listed.
   */
  job(id) {
    const job = this.#jobs.get(id);
    if (job === undefined) return undefined;
    this.#jobs.delete(id);
    this.#jobs.set(id, job);
    return job;
  }

  /** Read the next page, if there is one and none is on its way. Event `change` when it is here, or did not come. */
  async more() {
    if (this.isComplete || this.#isReadingOn) return;
    this.#isReadingOn = true;
    try {
      const page = await this.#page(this.#next);
      for (const job of page.jobs) this.#keep(job);
      const last = this.ids.at(-1) ?? "~";
      this.ids = this.ids.concat(page.jobs.map((job) => job.id).filter((id) => id < last));
      this.#next = page.next ?? undefined;
      this.isComplete = this.#next === undefined;
      this.hasBegun = true;
      this.error = undefined;
    } catch (error) {
      if (this.#leaving.signal.aborted) return;
      this.error = error;
    } finally {
      this.#isReadingOn = false;
    }
    this.#tell();
  }

  /**
   * Have the jobs from `first` up to `last` here again, where they were dropped. Event `change` when they are.
   *
   * @param {number} first - place in `ids`.
   * @param {number} last - not included.
   */
  need(first, last) {
    for (let place = first; place < Math.min(last, this.ids.length); place += 1) {
      if (this.#jobs.has(/** @type {string} */ (this.ids[place]))) continue;
      void this.#again(place);
      return;
    }
  }

  /**
   * Take jobs that have ended since the list was read, if they belong to it.
   *
   * @param {readonly Job[]} jobs
   */
  take(jobs) {
    let hasChanged = false;
    for (const job of jobs) {
      if (!this.accepts(job)) continue;
      const place = this.#placeOf(job.id);
      if (this.ids[place] !== job.id) {
        if (place === this.ids.length && !this.isComplete) continue; // it comes with its page
        this.ids = this.ids.toSpliced(place, 0, job.id);
      }
      this.#keep(job);
      hasChanged = true;
    }
    if (hasChanged) this.#tell();
  }

  /** @param {readonly string[]} ids - jobs that are gone. */
  remove(ids) {
    const gone = new Set(ids);
    const left = this.ids.filter((id) => !gone.has(id));
    if (left.length === this.ids.length) return;
    this.ids = left;
    for (const id of ids) this.#jobs.delete(id);
    this.#tell();
  }

  /**
   * @param {Job} job
   * @returns {boolean} whether it belongs to this list.
   */
  accepts(job) {
    const { status, task, q, before } = this.filter;
    return (
      TERMINAL.has(job.status) &&
      (status === undefined || job.status === status) &&
      (task === undefined || job.task === task) &&
      (q === undefined || _mentions(job, q)) &&
      (before === undefined || job.id < lastIdOf(before))
    );
  }

  /**
   * @param {string} [cursor]
   */
  #page(cursor) {
    const { status, task, q } = this.filter;
    return this.client.api.jobs({
      status: status === undefined ? [...TERMINAL] : [status],
      task,
      q,
      cursor,
      limit: PAGE,
      signal: this.#leaving.signal,
    });
  }

  /** @param {number} place */
  async #again(place) {
    const cursor = this.ids[place - 1] ?? (this.filter.before && lastIdOf(this.filter.before));
    const name = cursor ?? "";
    if (this.#asked.has(name)) return;
    this.#asked.add(name);
    try {
      const page = await this.#page(cursor);
      for (const job of page.jobs) this.#keep(job);
      // What should have been in this page and is not has been removed, by expiry or by somebody else.
      const here = new Set(page.jobs.map((job) => job.id));
      const oldest = page.jobs.at(-1)?.id ?? "";
      const wanted = this.ids.slice(place, place + PAGE);
      const gone = wanted.filter((id) => !here.has(id) && (id > oldest || page.next === undefined));
      if (gone.length > 0) this.remove(gone);
      else this.#tell();
    } catch (error) {
      if (!this.#leaving.signal.aborted) this.error = error;
    } finally {
      this.#asked.delete(name);
    }
  }

  /** @param {Job} job */
  #keep(job) {
    this.#jobs.delete(job.id);
    this.#jobs.set(job.id, job);
    for (const id of this.#jobs.keys()) {
      if (this.#jobs.size <= KEPT) return;
      this.#jobs.delete(id);
    }
  }

  /**
   * @param {string} id
   * @returns {number} where it stands in `ids`, or would.
   */
  #placeOf(id) {
    let low = 0;
    let high = this.ids.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (/** @type {string} */ (this.ids[middle]) > id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * The highest id a job can have that was asked for on this day: ids are UUIDv7 (RFC 9562), which begin with the time.
 *
 * @param {string} day - `2026-11-21`, by the reader's clock.
 * @returns {string}
 */
export function lastIdOf(day) {
  const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
  const end = new Date(year, month - 1, date + 1).getTime() - 1;
  const time = Math.max(0, end).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7fff-bfff-ffffffffffff`;
}

/**
 * @param {Job} job
 * @param {string} words
 * @returns {boolean}
 */
function _mentions(job, words) {
  const prompt = String(job.params.prompt ?? "").toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => prompt.includes(word));
}
