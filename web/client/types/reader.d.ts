/** One reader of events, as slow as it likes: facts wait in line, a newer hint takes the place of an older one. */
import type { SafelightEvent } from "./wire.js";
export type Result = IteratorResult<SafelightEvent, undefined>;
export type Pull = {
    resolve: (result: Result) => void;
    reject: (error: unknown) => void;
};
/** @import { SafelightEvent } from "./wire.js" */
/** @typedef {IteratorResult<SafelightEvent, undefined>} Result */
/** @typedef {{resolve: (result: Result) => void, reject: (error: unknown) => void}} Pull */
/**
 * Whether an event is a fact: numbered, stored, told to everybody. All others are hints.
 *
 * @param {{n?: unknown}} event
 */
export declare const isFact: (event: {
    n?: unknown;
}) => boolean;
/**
 * Hands events on in the order they came.
 *
 * A hint that has not been read when the next of its job, or model, and type comes is dropped, and the new one goes to
 * the end: a slow reader sees fewer hints, never staler ones, and every fact. So what waits is bounded by the facts,
 * of which a job has few.
 *
 * @implements {AsyncIterableIterator<SafelightEvent, undefined>}
 */
export declare class Reader implements AsyncIterableIterator<SafelightEvent, undefined> {
    #private;
    /**
     * The server has agreed to tell: whatever happens from then on will come. What is listed afterwards leaves no gap.
     *
     * @type {Promise<void>}
     */
    begun: Promise<void>;
    /**
     * @param {{after?: number, signal?: AbortSignal, onLeave?: (reader: Reader) => void}} [options] `after`: facts up to
     *   this `seq` are left out. `onLeave`: called once, when nobody reads any more: at a `break`, an abort, the end
     */
    constructor({ after, signal, onLeave }?: {
        after?: number;
        signal?: AbortSignal;
        onLeave?: (reader: Reader) => void;
    });
    /** The server has agreed; see `begun`. */
    begin(): void;
    /**
     * Add an event. Ignored after the end.
     *
     * @param {SafelightEvent} event
     */
    put(event: SafelightEvent): void;
    /**
     * Nothing comes after what is waiting; then iteration stops, or throws `error`.
     *
     * @param {unknown} [error]
     */
    end(error?: unknown): void;
    /** @returns {Promise<Result>} */
    next(): Promise<Result>;
    /** @returns {Promise<Result>} */
    return(): Promise<Result>;
    [Symbol.asyncIterator](): this;
}
