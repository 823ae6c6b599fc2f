/** The events of all jobs of one's own key, in one line, from a cursor on. */
import { Reader } from "./reader.js";
import type { SafelightEvent } from "./wire.js";
export type Mark = {
    attempt?: number;
    n?: number;
    at: string;
};
/** @import { SafelightEvent } from "./wire.js" */
/** @typedef {{attempt?: number, n?: number, at: string}} Mark */
/** Like `Feed`, for every job that the key may see, with one reader and a connection of its own. */
export declare class MineFeed {
    #private;
    reader: Reader;
    hasEnded: boolean;
    name: string;
    /** @param {{cursor?: string | null, signal?: AbortSignal, onLeave?: () => void}} [options] */
    constructor({ cursor, signal, onLeave }?: {
        cursor?: string | null;
        signal?: AbortSignal;
        onLeave?: () => void;
    });
    subscription(): {
        type: string;
        jobs: string;
        cursor?: string | undefined;
    };
    unsubscription(): {
        type: string;
        jobs: string;
    };
    /**
     * The server agreed, and says where the subscription begins.
     *
     * @param {{cursor?: string | null}} reply
     */
    subscribed({ cursor }: {
        cursor?: string | null;
    }): void;
    resuming(): void;
    /**
     * Take an event, unless it came before.
     *
     * @param {SafelightEvent} event
     * @throws {Gap} facts of its job between the last one that came and this event are missing
     */
    offer(event: SafelightEvent): void;
    /** @param {unknown} error */
    fail(error: unknown): void;
}
