/** Everything one client knows of one job: its facts, complete and in order, whatever the connection does. */
import { Reader } from "./reader.js";
import type { Job, SafelightEvent } from "./wire.js";
/** @import { Job, SafelightEvent } from "./wire.js" */
/** An event shows that facts before it are missing: resume from the last one that is there. */
export declare class Gap extends Error {
}
/** @param {SafelightEvent} event */
export declare const isTerminal: (event: SafelightEvent) => boolean;
/**
 * The events of one job, for any number of readers.
 *
 * A connection offers what arrives, repeats and all; the feed keeps each fact once and refuses one that would leave a
 * gap. Facts are kept (a job has few), of hints the latest of each type.
 */
export declare class Feed {
    #private;
    jobId: string;
    /** The `seq` it began after. */
    start: number;
    /** Of the last fact taken; resume after this. */
    seq: number;
    /** Whether the terminal fact is here, or none can come any more. */
    hasEnded: boolean;
    /** Whether its readers have left before the end: it is not told any more. */
    isDeserted: boolean;
    /** @type {(() => void) | undefined} called once nobody wants any more of it: at its end, or when all readers left */
    onDone: (() => void) | undefined;
    /**
     * @param {string} jobId
     * @param {number} [after] the facts up to this `seq` are not wanted
     */
    constructor(jobId: string, after?: number);
    /** Under which name a conversation keeps it. */
    get name(): string;
    /** The message that asks for what comes next. */
    subscription(): {
        type: string;
        job_id: string;
        after: number;
    };
    /** The message that asks for no more. */
    unsubscription(): {
        type: string;
        job_id: string;
    };
    /**
     * The server agreed: what comes from now on belongs to this subscription.
     *
     * @param {{job?: Job | null}} reply
     */
    subscribed({ job }: {
        job?: Job | null;
    }): void;
    /** It was just submitted, and is told from its beginning. */
    submitted(): void;
    /** A new connection begins: the server may repeat the latest hints, or count anew after a restart. */
    resuming(): void;
    /**
     * Take an event, unless it is here already.
     *
     * @param {SafelightEvent} event
     * @throws {Gap} facts between the last one here and this event are missing
     */
    offer(event: SafelightEvent): void;
    /**
     * No more events will come: readers get what is here, then `error`.
     *
     * @param {unknown} error
     */
    fail(error: unknown): void;
    /**
     * Every fact with a `seq` above `after`, once and in order, and hints as they come, up to the terminal fact.
     *
     * @param {{after?: number, signal?: AbortSignal}} [options]
     */
    read({ after, signal }?: {
        after?: number;
        signal?: AbortSignal;
    }): Reader;
}
/**
 * Whether one hint of a job was told after another one of the same type.
 *
 * @param {{attempt?: number, n?: number}} hint
 * @param {{attempt?: number, n?: number}} old
 */
export declare function isAfter(hint: {
    attempt?: number;
    n?: number;
}, old: {
    attempt?: number;
    n?: number;
}): boolean;
