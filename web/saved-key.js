/** The API key between visits: for this tab, or for this device if its user says so. */

const NAME = "safelight.key";

/** @returns {string | null} */
export function savedKey() {
  return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);
}

/**
 * @param {string} key
 * @param {boolean} isForLong - beyond this tab.
 */
export function keepKey(key, isForLong) {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
  (isForLong ? localStorage : sessionStorage).setItem(NAME, key);
}
