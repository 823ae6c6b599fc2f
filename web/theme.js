/** Dark or light, if it is not to be as the system has it. */

const NAME = "safelight.theme";
const THEMES = /** @type {const} */ (["system", "light", "dark"]);

/** @typedef {typeof THEMES[number]} Theme */

/** @returns {Theme} */
export function theme() {
  const saved = localStorage.getItem(NAME);
  return THEMES.find((each) => each === saved) ?? "system";
}

/** Put the chosen colours on the page. */
export function applyTheme() {
  const chosen = theme();
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

/** Go on to the next of the three. */
export function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  localStorage.setItem(NAME, next ?? "system");
  applyTheme();
}
