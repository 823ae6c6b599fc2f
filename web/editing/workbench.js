/**
 * What is on the bench of the view edit: a picture in its versions, the mask on it, and the job that makes the next
 * version. Fires `picture` when another picture is edited, `versions` when there are others, `job` when the job at work
 * or what is known of it changes, and `busy` when a picture is on its way.
 */

import { app } from "../app.js";
import { hasEnded } from "../state.js";
import { address } from "../router.js";
import { areaAround } from "./area.js";
import { Mask } from "./mask.js";
import { readMask, writeMask } from "./mask-file.js";
import { Picture } from "./picture.js";
import { NO_VERSIONS, numberOf, opened, resultOf, savedVersions, saveVersions, withResult } from "./versions.js";
import { NO_SIDES } from "./viewport.js";

/**
 * @typedef {import("./versions.js").Versions} Versions
 * @typedef {import("./versions.js").Version} Version
 * @typedef {import("./viewport.js").Sides} Sides
 * @typedef {import("../state.js").JobState} JobState
 */

/** What browsers show; anything else the server turns into the first of these. */
const SHOWN = "image/png, image/jpeg, image/webp, image/gif, image/bmp, image/avif";
/** How many pictures are kept in memory. */
const MOST_PICTURES = 4;

export class Workbench extends EventTarget {
  /** @type {Versions} */
  versions = NO_VERSIONS;
  /** @type {Picture | null} */
  picture = null;
  /** @type {Mask | null} */
  mask = null;
  /** The job at work, as the server tells it. @type {JobState | null} */
  job = null;
  isBusy = false;
  /** Address of a picture of what the job at work may change of what its previews show; none if all of it. */
  changedUrl = "";
  /** @type {Map<string, Promise<Picture>>} by what a job takes. */
  #pictures = new Map();
  #asking = new AbortController();

  /** @param {AbortSignal} leaving */
  constructor(leaving) {
    super();
    this.leaving = leaving;
  }

  /** @returns {Version | undefined} the one that is edited. */
  get version() {
    return this.versions.list[this.versions.current];
  }

  /** Go on where this tab was before it was loaded anew. */
  async restore() {
    const saved = savedVersions();
    if (saved.list.length === 0) return;
    this.#change(saved);
    await this.choose(saved.current);
    const { pending } = this.versions;
    if (pending !== null) this.#await(pending.jobId).catch((error) => app.notices.tell(error));
  }

  /**
   * Open a file: it is uploaded once, whatever is done with it.
   *
   * @param {File} file
   * @param {(sent: number) => void} tell - how much has been sent, 0..1.
   */
  async openFile(file, tell) {
    await this.#only(async (signal) => {
      const onProgress = (/** @type {number} */ sent, /** @type {number} */ total) => tell(sent / Math.max(1, total));
      const { ref, width, height } = await app.client.api.upload(file, { name: file.name, signal, onProgress });
      // A file that the browser cannot read may be one that the server can.
      const read = Picture.read(file).catch(() => this.#fetch(ref));
      this.#keep(ref, read);
      await read;
      if (signal.aborted) return;
      await this.#take(opened({ ref, width, height }), 0);
    });
  }

  /**
   * Open a picture the server has, unless it is one of the versions: then that one.
   *
   * @param {string} ref
   */
  async openRef(ref) {
    const number = numberOf(this.versions, ref);
    if (number !== -1) {
      await this.choose(number);
      return;
    }
    await this.#only(async (signal) => {
      const { width, height } = await this.load(ref);
      if (!signal.aborted) await this.#take(opened({ ref, width, height }), 0);
    });
  }

  /**
   * Go on from a version.
   *
   * @param {number} number
   */
  async choose(number) {
    if (this.versions.list[number] === undefined) return;
    await this.#only(async () => this.#take({ ...this.versions, current: number }, number));
  }

  /**
   * Make the next version. The job is at work from when the server has accepted it.
   *
   * @param {any} task
   * @param {Record<string, unknown>} params - without the picture.
   * @param {{sides?: Sides, withMask?: boolean}} [options] - `sides`: what it will have beyond the picture.
   * @returns {Promise<boolean>} whether the result is what is edited now; nobody may want it any more.
   */
  async run(task, params, { sides = NO_SIDES, withMask = false } = {}) {
    const version = this.version;
    const parent = this.versions.current;
    if (version === undefined) return false;
    const { width, height } = version;
    let shown = { x: -sides.left, y: -sides.top, width: width + sides.left + sides.right, height: height + sides.top + sides.bottom };
    /** @type {Record<string, unknown>} */
    const more = {};
    const box = withMask ? this.mask?.box : null;
    if (box != null && this.mask !== null) {
      more.mask = await this.#sendMask(this.mask);
      if (task === "inpaint") more.area = shown = areaAround(box, version);
      this.#setChanged(await writeMask(this.mask.part(shown)));
    }
    const request = { task, params: { image: version.ref, ...more, ...params }, previews: /** @type {const} */ ("all") };
    const { id, snapshot } = await app.client.submit(request, { subscribe: false, signal: this.leaving });
    app.store.put([snapshot]);
    this.#change({ ...this.versions, pending: { jobId: id, task, parent, sides, shown } });
    return this.#await(id);
  }

  /** Ask that the job at work be cancelled. */
  async cancel() {
    if (this.versions.pending !== null) await app.client.cancel(this.versions.pending.jobId);
  }

  /**
   * Have something found in the picture.
   *
   * @param {any} task
   * @param {Record<string, unknown>} params
   * @param {AbortSignal} signal - of a question no longer asked: its job is cancelled.
   * @returns {Promise<{mask: Mask, data: any}>} its first output.
   */
  async find(task, params, signal) {
    const image = this.version?.ref ?? "";
    const { id, snapshot } = await app.client.submit({ task, params: { image, ...params }, previews: "none" }, { subscribe: false });
    app.store.put([snapshot]);
    try {
      const { job } = await this.#end(id, signal);
      const mask = await readMask(await app.client.api.output(id, 0, { signal }));
      signal.throwIfAborted();
      return { mask, data: job.outputs[0]?.data ?? {} };
    } catch (error) {
      // It may have ended in the meantime.
      if (signal.aborted) app.client.cancel(id).catch(() => {});
      throw error;
    }
  }

  /**
   * @param {string} ref
   * @returns {Promise<Picture>}
   */
  load(ref) {
    const known = this.#pictures.get(ref);
    return this.#keep(ref, known ?? this.#fetch(ref));
  }

  /**
   * @param {string} ref
   * @returns {Promise<Picture>}
   */
  async #fetch(ref) {
    return Picture.read(await _fetched(ref, this.leaving));
  }

  /**
   * @param {string} ref
   * @param {Promise<Picture>} picture
   */
  #keep(ref, picture) {
    this.#pictures.delete(ref);
    this.#pictures.set(ref, picture);
    picture.catch(() => this.#pictures.delete(ref));
    for (const [oldest, other] of this.#pictures) {
      if (this.#pictures.size <= MOST_PICTURES) break;
      this.#pictures.delete(oldest);
      other.then((each) => each !== this.picture && each.close()).catch(() => {});
    }
    return picture;
  }

  /**
   * What is asked for last counts; what was asked for before is forgotten.
   *
   * @param {(signal: AbortSignal) => Promise<void>} ask
   */
  async #only(ask) {
    this.#asking.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.#setBusy(true);
    try {
      await ask(AbortSignal.any([asking.signal, this.leaving]));
    } catch (error) {
      if (!asking.signal.aborted) app.notices.tell(error);
    } finally {
      if (this.#asking === asking) this.#setBusy(false);
    }
  }

  /**
   * @param {Versions} versions
   * @param {number} number
   */
  async #take(versions, number) {
    const asking = this.#asking;
    const version = /** @type {Version} */ (versions.list[number]);
    const picture = await this.load(version.ref);
    if (asking !== this.#asking) return;
    this.picture = picture;
    if (this.mask === null || this.mask.width !== picture.width || this.mask.height !== picture.height) {
      this.mask = new Mask(picture.width, picture.height);
    }
    this.#change({ ...versions, pending: versions.list === this.versions.list ? this.versions.pending : versions.pending });
    // A job may end while another view is looked at.
    if (app.router.place.view === "edit") history.replaceState(null, "", address("edit", { picture: version.ref }));
    this.dispatchEvent(new Event("picture"));
  }

  /**
   * @param {string} id - of the job at work.
   * @returns {Promise<boolean>} whether its result is what is edited now.
   */
  async #await(id) {
    const isWanted = () => this.versions.pending?.jobId === id;
    try {
      const { job } = await this.#end(id, this.leaving, (entry) => {
        if (!isWanted()) return;
        this.job = entry;
        this.dispatchEvent(new Event("job"));
      });
      const output = job.outputs[0];
      if (output === undefined || !isWanted()) return false;
      const ref = `job:${id}/${output.index}`;
      const { width, height } = await this.load(ref);
      const { pending } = this.versions;
      if (pending === null || !isWanted()) return false;
      const parent = /** @type {Version} */ (this.versions.list[pending.parent]);
      const versions = withResult(this.versions, resultOf(pending, parent, { ref, width, height }));
      await this.#only(async () => this.#take(versions, versions.current));
      return this.version?.ref === ref;
    } finally {
      if (isWanted()) this.#change({ ...this.versions, pending: null });
    }
  }

  /**
   * @param {string} id
   * @param {AbortSignal} signal
   * @param {(entry: JobState) => void} [tell]
   * @returns {Promise<JobState>} once it has succeeded.
   * @throws what it failed with; an `AbortError` if it was cancelled.
   */
  async #end(id, signal, tell = () => {}) {
    if (!app.store.state.jobs.has(id)) app.store.put([await app.client.api.job(id, { signal })]);
    const watching = new AbortController();
    try {
      const ended = await new Promise((resolve, reject) => {
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
      const { status, error } = ended.job;
      if (status === "cancelled") throw new DOMException("the job was cancelled", "AbortError");
      if (status === "failed") throw Object.assign(new Error(error?.message), error);
      return ended;
    } finally {
      watching.abort();
    }
  }

  /** @param {Mask} mask */
  async #sendMask(mask) {
    return (await app.client.api.upload(await writeMask(mask), { name: "mask.png", signal: this.leaving })).ref;
  }

  /** @param {Blob | null} picture */
  #setChanged(picture) {
    if (this.changedUrl !== "") URL.revokeObjectURL(this.changedUrl);
    this.changedUrl = picture === null ? "" : URL.createObjectURL(picture);
  }

  /** @param {boolean} isBusy */
  #setBusy(isBusy) {
    this.isBusy = isBusy;
    this.dispatchEvent(new Event("busy"));
  }

  /** @param {Versions} versions */
  #change(versions) {
    this.versions = versions;
    saveVersions(versions);
    if (versions.pending === null && this.job !== null) {
      this.job = null;
      this.#setChanged(null);
      this.dispatchEvent(new Event("job"));
    }
    this.dispatchEvent(new Event("versions"));
  }
}

/**
 * @param {string} ref - `upload:ID` or `job:ID/N`.
 * @param {AbortSignal} signal
 * @returns {Promise<Blob>} as a browser can show it.
 */
async function _fetched(ref, signal) {
  const [kind, rest = ""] = ref.split(":", 2);
  if (kind === "upload") return app.client.api.uploaded(rest, { accept: SHOWN, signal });
  const [id = "", number = "0"] = rest.split("/", 2);
  return app.client.api.output(id, Number(number), { accept: SHOWN, signal });
}
