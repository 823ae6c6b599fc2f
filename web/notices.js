/** Short messages for everybody: shown in a corner, and read out by screen readers. */

import { SafelightError } from "./client/index.js";
import { errorWords } from "./words/words.js";

/**
 * @typedef {object} Notice
 * @property {"info" | "good" | "bad"} kind
 * @property {string} text
 * @property {{words: string, act: () => void}} [action] - a button.
 */

export class Notices extends EventTarget {
  /**
   * @param {Notice} notice
   */
  show(notice) {
    this.dispatchEvent(new CustomEvent("notice", { detail: notice }));
  }

  /**
   * Say something to screen readers alone; what is seen shows it otherwise.
   *
   * @param {string} text
   */
  announce(text) {
    this.dispatchEvent(new CustomEvent("announcement", { detail: text }));
  }

  /**
   * Tell what went wrong in words a person can act on. Ends that were asked for are no errors.
   *
   * @param {unknown} error
   */
  tell(error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    this.show({ kind: "bad", text: errorWords(error) });
    if (!(error instanceof SafelightError)) console.error(error);
  }
}
