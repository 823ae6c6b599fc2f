/** Outputs as pictures on the page. With a key an `<img>` cannot ask for them itself: they are fetched, and kept a while. */

/** How many fetched pictures are kept. */
const KEPT = 300;

export class Pictures {
  /** @type {Map<string, Promise<string>>} */
  #kept = new Map();

  /** @param {import("./client/index.js").Safelight} client */
  constructor(client) {
    this.client = client;
  }

  /**
   * Show an output, or a small copy of it.
   *
   * @param {HTMLImageElement} image
   * @param {string} jobId
   * @param {number} index
   * @param {{maxSidePx?: number, signal?: AbortSignal}} [options]
   */
  async show(image, jobId, index, options = {}) {
    const url = await this.url(jobId, index, options);
    if (options.signal?.aborted !== true && image.src !== url) image.src = url;
  }

  /**
   * @param {string} jobId
   * @param {number} index
   * @param {{maxSidePx?: number}} [options]
   * @returns {Promise<string>} an address an `<img>` can take.
   */
  async url(jobId, index, { maxSidePx } = {}) {
    if (!this.client.hasKey) return this.client.api.outputUrl(jobId, index, { maxSidePx });
    const name = `${jobId}/${index}/${maxSidePx ?? ""}`;
    const known = this.#kept.get(name);
    if (known !== undefined) {
      this.#kept.delete(name);
      this.#kept.set(name, known);
      return known;
    }
    const fetched = this.client.api.output(jobId, index, { maxSidePx }).then((blob) => URL.createObjectURL(blob));
    this.#kept.set(name, fetched);
    fetched.catch(() => this.#kept.delete(name));
    this.#forgetOldest();
    return fetched;
  }

  #forgetOldest() {
    for (const [name, url] of this.#kept) {
      if (this.#kept.size <= KEPT) return;
      this.#kept.delete(name);
      url.then(URL.revokeObjectURL, () => {});
    }
  }
}
