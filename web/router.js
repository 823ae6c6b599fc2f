/** Which view is shown, in the part of the address after `#`: `#/edit?picture=job:ID/0`. The back button works. */

/**
 * @typedef {object} Place
 * @property {string} view
 * @property {URLSearchParams} parameters
 */

export class Router extends EventTarget {
  /**
   * @param {readonly string[]} views - the first is shown when the address names none of them.
   */
  constructor(views) {
    super();
    this.views = views;
    addEventListener("hashchange", () => this.dispatchEvent(new Event("change")));
  }

  /** @returns {Place} */
  get place() {
    const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
    return { view: this.views.includes(path) ? path : /** @type {string} */ (this.views[0]), parameters: new URLSearchParams(query) };
  }

  /**
   * @param {string} view
   * @param {Record<string, string>} [parameters]
   */
  go(view, parameters = {}) {
    location.hash = address(view, parameters);
  }

  /**
   * The same without a step of its own for the back button.
   *
   * @param {string} view
   * @param {Record<string, string>} [parameters]
   */
  replace(view, parameters = {}) {
    history.replaceState(null, "", address(view, parameters));
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * @param {string} view
 * @param {Record<string, string>} [parameters]
 * @returns {string} for the `href` of a link.
 */
export function address(view, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  return `#/${view}${query ? `?${query}` : ""}`;
}
