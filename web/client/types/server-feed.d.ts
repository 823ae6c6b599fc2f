/** The events of the server itself: models on their way, in memory and out of it, and its stopping. */
import { Reader } from "./reader.js";
import type { SafelightEvent } from "./wire.js";
/** @import { SafelightEvent } from "./wire.js" */
/** Hints of the `server` topic, for any number of readers: what is told while the connection is broken is lost. */
export declare class ServerFeed {
    #private;
    hasEnded: boolean;
    name: string;
    /** @type {(() => void) | undefined} called when the last reader has left */
    onDone: (() => void) | undefined;
    subscription(): {
        type: string;
        topic: string;
    };
    unsubscription(): {
        type: string;
        topic: string;
    };
    /** The server agreed. */
    subscribed(): void;
    resuming(): void;
    /** @param {SafelightEvent} event */
    offer(event: SafelightEvent): void;
    /** @param {unknown} error */
    fail(error: unknown): void;
    /** @param {{signal?: AbortSignal}} [options] */
    read({ signal }?: {
        signal?: AbortSignal;
    }): Reader;
}
