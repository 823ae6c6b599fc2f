/** The keyboard: one table of what which key does, for whoever shows it and whoever presses it. */

/**
 * @typedef {object} Shortcut
 * @property {string} keys - as shown, for example `Ctrl+Z`; `Ctrl` is also the command key.
 * @property {string} words - key of the words that say what it does.
 * @property {(event: KeyboardEvent) => void} [action] - none if an element takes the key itself, and it is only shown.
 * @property {boolean} [inFields] - also while somebody types in a field.
 */

export class Shortcuts {
  /** @type {Set<Shortcut>} */
  #known = new Set();

  constructor() {
    addEventListener("keydown", (event) => this.#press(event));
  }

  /** @returns {Shortcut[]} those that work now. */
  get current() {
    return [...this.#known];
  }

  /**
   * @param {readonly Shortcut[]} shortcuts
   * @param {{signal: AbortSignal}} options - until when they work.
   */
  add(shortcuts, { signal }) {
    for (const each of shortcuts) this.#known.add(each);
    signal.addEventListener("abort", () => shortcuts.forEach((each) => this.#known.delete(each)));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]") !== null) return;
    const isTyping = _takesText(event.target);
    const pressed = _name(event);
    // The newest first: a view's own go before those of the page.
    for (const each of [...this.#known].reverse()) {
      if (each.keys !== pressed || (isTyping && each.inFields !== true)) continue;
      if (each.action === undefined) continue;
      event.preventDefault();
      each.action(event);
      return;
    }
  }
}

/**
 * @param {KeyboardEvent} event
 * @returns {string}
 */
function _name(event) {
  const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  if (event.shiftKey && (event.key.length > 1 || /[a-z]/i.test(event.key))) parts.push("Shift");
  return [...parts, key === " " ? "Space" : key].join("+");
}

/**
 * @param {EventTarget | null} target
 * @returns {boolean}
 */
function _takesText(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.matches("textarea, select")) return true;
  return target.matches("input:not([type=checkbox], [type=radio], [type=button], [type=range])");
}
