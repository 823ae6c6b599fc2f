/**
 * The versions of a picture while it is edited: the one that was opened, and every result that was made of one of
 * them. Pure, but for the last two functions, which keep them for this tab.
 */

/**
 * @typedef {import("./rect.js").Rect} Rect
 *
 * @typedef {object} Version
 * @property {string} ref - what a job takes: `upload:ID` or `job:ID/N`.
 * @property {number} width - in px.
 * @property {number} height
 * @property {string} [task] - what made it; none for a picture that was opened.
 * @property {number} [parent] - number of the version it was made of.
 * @property {Rect} [place] - where the parent's picture is in this one.
 *
 * @typedef {object} Pending - Work that will make a version.
 * @property {string} jobId
 * @property {string} task
 * @property {number} parent
 * @property {import("./viewport.js").Sides} sides - what is added to the parent.
 * @property {Rect} shown - what its previews show, in pixels of the parent.
 *
 * @typedef {object} Versions
 * @property {readonly Version[]} list
 * @property {number} current - number of the one that is edited; -1 without any.
 * @property {Pending | null} pending
 */

const SAVED = "safelight.edit";

/** @type {Versions} */
export const NO_VERSIONS = Object.freeze({ list: [], current: -1, pending: null });

/**
 * @param {Version} version
 * @returns {Versions} of a picture that was opened.
 */
export function opened(version) {
  return { list: [version], current: 0, pending: null };
}

/**
 * @param {Versions} versions
 * @param {Version} version - made of one of them.
 * @returns {Versions} with it, and it is the current one.
 */
export function withResult(versions, version) {
  return { list: [...versions.list, version], current: versions.list.length, pending: null };
}

/**
 * @param {Versions} versions
 * @param {string} ref
 * @returns {number} -1 if none of them is that picture.
 */
export function numberOf(versions, ref) {
  return versions.list.findIndex((each) => each.ref === ref);
}

/**
 * @param {Versions} versions
 * @param {number} number
 * @returns {number[]} what this version was made of, the nearest first.
 */
export function ancestors(versions, number) {
  const found = [];
  for (let each = versions.list[number]?.parent; each !== undefined; each = versions.list[each]?.parent) found.push(each);
  return found;
}

/**
 * @param {Versions} versions
 * @param {number} number
 * @param {number} ancestor - one of its `ancestors`.
 * @returns {Rect} where the ancestor's picture is in this version.
 */
export function placeOf(versions, number, ancestor) {
  const { width, height, parent, place } = /** @type {Version} */ (versions.list[number]);
  if (number === ancestor || parent === undefined || place === undefined) return { x: 0, y: 0, width, height };
  const inner = placeOf(versions, parent, ancestor);
  const { width: parentWidth, height: parentHeight } = /** @type {Version} */ (versions.list[parent]);
  const across = place.width / parentWidth;
  const down = place.height / parentHeight;
  return { x: place.x + inner.x * across, y: place.y + inner.y * down, width: inner.width * across, height: inner.height * down };
}

/**
 * @param {Pending} pending
 * @param {Version} parent
 * @param {{ref: string, width: number, height: number}} result
 * @returns {Version}
 */
export function resultOf({ task, parent: number, sides }, parent, { ref, width, height }) {
  // What was not added is the parent's picture, larger or smaller.
  const across = width / (parent.width + sides.left + sides.right);
  const down = height / (parent.height + sides.top + sides.bottom);
  const place = { x: sides.left * across, y: sides.top * down, width: parent.width * across, height: parent.height * down };
  return { ref, width, height, task, parent: number, place };
}

/** @returns {Versions} those that were kept. */
export function savedVersions() {
  try {
    const saved = JSON.parse(sessionStorage.getItem(SAVED) ?? "null");
    return saved?.list?.[saved.current] === undefined ? NO_VERSIONS : saved;
  } catch {
    return NO_VERSIONS;
  }
}

/** @param {Versions} versions */
export function saveVersions(versions) {
  sessionStorage.setItem(SAVED, JSON.stringify(versions));
}
