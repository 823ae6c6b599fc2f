/** One submitted job, in the hands of who submitted it. */
import type { Job as Snapshot } from "./wire.js";
import type { Safelight } from "./safelight.js";
import type { Feed } from "./feed.js";
/** @import { Job as Snapshot } from "./wire.js" */
/** @import { Safelight } from "./safelight.js" */
/** @import { Feed } from "./feed.js" */
export declare class Job {
    #private;
    id: string;
    /** As it was when the server accepted it. */
    snapshot: Snapshot;
    /**
     * @param {Safelight} safelight
     * @param {Snapshot} snapshot
     * @param {Feed} [feed] what the socket tells of it, where it was submitted with `subscribe`
     */
    constructor(safelight: Safelight, snapshot: Snapshot, feed?: Feed);
    /**
     * Its events: every fact once and in order, hints as they come; ends after the terminal fact.
     *
     * @param {{after?: number, signal?: AbortSignal}} [options]
     */
    events(options?: {
        after?: number;
        signal?: AbortSignal;
    }): import("./reader.js").Reader;
    /**
     * Wait for its end, however it ends.
     *
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<Snapshot>} as it ended: `status`, `outputs`, `error`
     */
    wait({ signal }?: {
        signal?: AbortSignal;
    }): Promise<Snapshot>;
    /** Ask for its end; the event `job.cancelled` says that it came. @param {{signal?: AbortSignal}} [options] */
    cancel(options?: {
        signal?: AbortSignal;
    }): Promise<void>;
    /** Ask it to leave out the image it is at. @param {{signal?: AbortSignal}} [options] */
    skip(options?: {
        signal?: AbortSignal;
    }): Promise<void>;
    /**
     * One of its outputs.
     *
     * @param {number} number
     * @param {{accept?: string, maxSidePx?: number, signal?: AbortSignal}} [options]
     */
    output(number: number, options?: {
        accept?: string;
        maxSidePx?: number;
        signal?: AbortSignal;
    }): Promise<Blob>;
}
