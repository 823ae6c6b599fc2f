/** Building elements without a template language: text stays text, so nothing from a server can become markup. */

/**
 * Make an element.
 *
 * @param {string} name - of the tag.
 * @param {Record<string, unknown>} [properties] - `class`, `data-*`, `aria-*`, `for`, `role` and the like are set as
 *   attributes, `on…` as listeners (`onclick: f`), everything else as a property of the element. Null, undefined and
 *   false leave an attribute out; `signal` ends the listeners.
 * @param {...(Node | string | null | undefined | false)} children - texts become text nodes; what is nothing is left out.
 * @returns {any} the element.
 */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  const { signal, ...others } = properties;
  for (const [key, value] of Object.entries(others)) {
    if (key.startsWith("on") && typeof value === "function") {
      element.addEventListener(key.slice(2), /** @type {EventListener} */ (value), {
        signal: /** @type {AbortSignal | undefined} */ (signal),
      });
    } else if (key in element && !key.includes("-") && !_ATTRIBUTES.has(key)) {
      if (value !== undefined && value !== null) /** @type {any} */ (element)[key] = value;
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(key === "className" ? "class" : key, value === true ? "" : String(value));
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map(_node));
  return element;
}

/** Properties which are read-only, or which take something else than their attribute. */
const _ATTRIBUTES = new Set(["list", "form", "width", "height", "role", "part"]);

/**
 * @param {unknown} child
 * @returns {Node | string}
 */
function _node(child) {
  return child instanceof Node ? child : String(child);
}

/**
 * Set an element's text only if it changes, so that screen readers and selections are left in peace.
 *
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let _count = 0;

/**
 * An id nobody else on the page has, to tie a label to its field.
 *
 * @param {string} stem
 * @returns {string}
 */
export function uniqueId(stem) {
  _count += 1;
  return `${stem}-${_count}`;
}
