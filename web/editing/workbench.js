/**
 * What is on the bench of the view edit: a picture in its versions, the mask on it, and the job that makes the next
 * version. Fires `picture` when another picture is edited, `versions` when there are others, `job` when the job at work
 * or what is known of it changes, and `busy` when a picture is on its way.
 */

import { app } from "../app.js";
import { address } from "../router.js";
import { areaAround } from "./area.js";
import { endOf } from "./job-end.js";
import { Mask } from "./mask.js";
import { readMask, writeMask } from "./mask-file.js";
import { PictureStore } from "./picture-store.js";
import { NO_VERSIONS, numberOf, opened, resultOf, savedVersions, saveVersions, withResult } from "./versions.js";
import { NO_SIDES } from "./viewport.js";

/**
 * @typedef {import("./versions.js").Versions} Versions
 * @typedef {import("./versions.js").Version} Version
 * @typedef {import("./picture.js").Picture} Picture
 * @typedef {import("./viewport.js").Sides} Sides
 * @typedef {import("../state.js").JobState} JobState
 */

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
  #pictures;
  #asking = new AbortController();

  /** @param {AbortSignal} leaving */
  constructor(leaving) {
    super();
    this.leaving = leaving;
    this.#pictures = new PictureStore(leaving);
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
    try {
      await this.load(this.version?.ref ?? "");
    } catch (error) {
      // What is gone is gone; anything else may come back, and `choose` tells of it.
      if (/** @type {{code?: string}} */ (error).code === "not_found") {
        this.#change(NO_VERSIONS);
        return;
      }
    }
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
      await this.#pictures.read(ref, file, this.picture);
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
    app.store.add(snapshot);
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
    app.store.add(snapshot);
    try {
      const { job } = await endOf(id, signal);
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
    return this.#pictures.load(ref, this.picture);
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
      // Without a key the page asks for one; then the picture is opened again.
      const isKeyMissing = /** @type {{code?: string}} */ (error).code === "unauthorized";
      if (!asking.signal.aborted && !isKeyMissing) app.notices.tell(error);
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
      const { job } = await endOf(id, this.leaving, (entry) => {
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
