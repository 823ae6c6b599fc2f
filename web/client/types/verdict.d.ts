/** What the end of a socket means: come back, or do not. */
import { SafelightError } from "./errors.js";
export type Verdict = {
    /**
     * in words
     */
    reason: string;
    /**
     * what to tell everyone who waits; null if coming back may help
     */
    final: SafelightError | null;
    /**
     * a message of ours was too big
     */
    isTooBig: boolean;
};
/**
 * @typedef {object} Verdict
 * @property {string} reason in words
 * @property {SafelightError | null} final what to tell everyone who waits; null if coming back may help
 * @property {boolean} isTooBig a message of ours was too big
 */
/** The present socket is of no more use; another may be. */
export declare class Broken extends Error {
}
/**
 * Judge the end of a socket by its close code.
 *
 * @param {{code: number, reason: string}} end
 * @returns {Verdict}
 */
export declare function ofClose({ code, reason }: {
    code: number;
    reason: string;
}): Verdict;
