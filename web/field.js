/** A labelled field with a place for what is wrong with it. */

import { h, uniqueId } from "./dom.js";
import { number, t } from "./words/words.js";

/**
 * @param {string} name - of the parameter, by which `complain` finds it.
 * @param {string} label
 * @param {HTMLElement} control - an input, select or textarea.
 * @param {{help?: string, beside?: Node}} [more] - `beside`: buttons that stand in a row with the control.
 * @returns {HTMLElement}
 */
export function field(name, label, control, { help, beside } = {}) {
  control.id ||= uniqueId(name);
  const helpId = help === undefined ? "" : `${control.id}-help`;
  if (help !== undefined) control.setAttribute("aria-describedby", helpId);
  return h(
    "div",
    { className: "field", "data-field": name },
    h("label", { for: control.id }, label),
    beside === undefined ? control : h("div", { className: "field-row" }, control, beside),
    help === undefined ? null : h("p", { className: "field-help", id: helpId }, help),
    wrong(),
  );
}

/** @returns {HTMLElement} where `complain` writes; for fields that are built otherwise. */
export function wrong() {
  return h("p", { className: "field-wrong", id: uniqueId("wrong"), hidden: true });
}

/**
 * Say what is wrong with a field, and open what hides it.
 *
 * @param {Element} form
 * @param {string} name
 * @param {string} text - empty to take it back.
 * @returns {HTMLElement | null} what to focus; null if the form has no such field.
 */
export function complain(form, name, text) {
  const place = form.querySelector(`[data-field="${name}"]`);
  const words = /** @type {HTMLElement | null} */ (place?.querySelector(".field-wrong") ?? null);
  if (place === null || words === null) return null;
  const control = /** @type {HTMLElement | null} */ (place.querySelector("input, select, textarea, button"));
  words.hidden = text === "";
  words.textContent = text;
  if (control !== null) _describe(control, words.id, text !== "");
  if (text === "") return control;
  for (let above = place.closest("details"); above !== null; above = above.parentElement?.closest("details") ?? null) above.open = true;
  return control;
}

/**
 * @param {HTMLInputElement} input - of type number.
 * @returns {number | null} null where nothing is written.
 */
export function numberIn(input) {
  return input.value === "" ? null : input.valueAsNumber;
}

/**
 * @param {HTMLInputElement} input
 * @returns {string} what is wrong with the number in it; empty if nothing is.
 */
export function wrongNumber(input) {
  const { badInput, rangeUnderflow, rangeOverflow, stepMismatch } = input.validity;
  if (badInput) return t("make.wrong.number");
  if (rangeUnderflow || rangeOverflow) return t("make.wrong.range", { low: number(Number(input.min)), high: number(Number(input.max)) });
  return stepMismatch ? t("make.wrong.whole") : "";
}

/**
 * @param {HTMLElement} control
 * @param {string} id - of what says what is wrong.
 * @param {boolean} isWrong
 */
function _describe(control, id, isWrong) {
  const others = (control.getAttribute("aria-describedby") ?? "").split(" ").filter((each) => each !== "" && each !== id);
  const all = isWrong ? [...others, id] : others;
  if (all.length > 0) control.setAttribute("aria-describedby", all.join(" "));
  else control.removeAttribute("aria-describedby");
  if (isWrong) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}
