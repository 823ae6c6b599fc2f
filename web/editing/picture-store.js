/** The pictures that are worked on, kept in memory as long as there is room: each is fetched once. */

import { app } from "../app.js";
import { Picture } from "./picture.js";

/** What browsers show; anything else the server turns into the first of these. */
const SHOWN = "image/png, image/jpeg, image/webp, image/gif, image/bmp, image/avif";
const MOST = 4;

export class PictureStore {
  /** @type {Map<string, Promise<Picture>>} by what a job takes: `upload:ID` or `job:ID/N`; the latest used last. */
  #kept = new Map();

  /** @param {AbortSignal} leaving */
  constructor(leaving) {
    this.leaving = leaving;
  }

  /**
   * @param {string} ref
   * @param {Picture | null} shown - stays, however old it is.
   * @returns {Promise<Picture>}
   */
  load(ref, shown) {
    return this.#keep(ref, this.#kept.get(ref) ?? this.#fetch(ref), shown);
  }

  /**
   * Take a picture from its file, and from the server if the browser cannot read that.
   *
   * @param {string} ref
   * @param {Blob} file
   * @param {Picture | null} shown
   * @returns {Promise<Picture>}
   */
  read(ref, file, shown) {
    return this.#keep(ref, Picture.read(file).catch(() => this.#fetch(ref)), shown);
  }

  /**
   * @param {string} ref
   * @param {Promise<Picture>} picture
   * @param {Picture | null} shown
   */
  #keep(ref, picture, shown) {
    this.#kept.delete(ref);
    this.#kept.set(ref, picture);
    picture.catch(() => this.#kept.delete(ref));
    for (const [oldest, other] of this.#kept) {
      if (this.#kept.size <= MOST) break;
      this.#kept.delete(oldest);
      other.then((each) => each !== shown && each.close()).catch(() => {});
    }
    return picture;
  }

  /**
   * @param {string} ref
   * @returns {Promise<Picture>}
   */
  async #fetch(ref) {
    const [kind, id = "", number = "0"] = ref.split(/[:/]/);
    const options = { accept: SHOWN, signal: this.leaving };
    const { api } = app.client;
    return Picture.read(await (kind === "upload" ? api.uploaded(id, options) : api.output(id, Number(number), options)));
  }
}
