/** Moments by the reader's clock, as short as they can be. */

import { language } from "./words/words.js";

const TODAY = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const THIS_YEAR = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const EARLIER = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
const EXACT = new Intl.DateTimeFormat(language, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
});

/**
 * @param {string} at - RFC 3339.
 * @returns {string} `17:10`, `20 Nov, 17:10` or `20 Nov 2025`, whichever says enough.
 */
export function shortTime(at) {
  const moment = new Date(at);
  const now = new Date();
  if (moment.toDateString() === now.toDateString()) return TODAY.format(moment);
  return (moment.getFullYear() === now.getFullYear() ? THIS_YEAR : EARLIER).format(moment);
}

/**
 * @param {string} at - RFC 3339.
 * @returns {string} `17:10:04.218`.
 */
export function clockTime(at) {
  return EXACT.format(new Date(at));
}
