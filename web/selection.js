/** Which things of a list are chosen: one by one, a range, all. */

export class Selection extends EventTarget {
  /** @type {Set<string>} */
  #chosen = new Set();
  /** @type {string | null} where a range begins. */
  #anchor = null;

  /** How many are chosen. */
  get size() {
    return this.#chosen.size;
  }

  /** @returns {string[]} in the order they were chosen. */
  get ids() {
    return [...this.#chosen];
  }

  /** @param {string} id */
  has(id) {
    return this.#chosen.has(id);
  }

  /** @param {string} id */
  toggle(id) {
    if (!this.#chosen.delete(id)) this.#chosen.add(id);
    this.#anchor = id;
    this.#tell();
  }

  /**
   * Choose everything between the last one that was chosen or left and this one, both included.
   *
   * @param {readonly string[]} list - what there is, in its order.
   * @param {string} id
   */
  through(list, id) {
    const from = this.#anchor === null ? -1 : list.indexOf(this.#anchor);
    const to = list.indexOf(id);
    if (from < 0 || to < 0) {
      this.#chosen.add(id);
      this.#anchor = id;
    } else {
      for (const each of list.slice(Math.min(from, to), Math.max(from, to) + 1)) this.#chosen.add(each);
    }
    this.#tell();
  }

  /** @param {readonly string[]} ids */
  all(ids) {
    for (const id of ids) this.#chosen.add(id);
    this.#tell();
  }

  /** @param {readonly string[]} [ids] - by default everything. */
  leave(ids = this.ids) {
    if (this.#chosen.size === 0) return;
    for (const id of ids) this.#chosen.delete(id);
    if (this.#anchor !== null && !this.#chosen.has(this.#anchor)) this.#anchor = null;
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
