/** The client: submits jobs, watches them, and comes back when the connection breaks. */
import { Api } from "./api.js";
import { Job } from "./job.js";
import type { ConnectionState } from "./connection.js";
import type { JobRequest } from "./wire.js";
export type SafelightOptions = {
    /**
     * where the server answers; by default where the page came from
     */
    url?: string;
    /**
     * an API key, where the server wants one
     */
    key?: string | null;
    /**
     * how long to try, at first and after a break; then whoever waits is told
     * (`unreachable`, `connection_lost`). By default for ever; 0 tells at once
     */
    patienceS?: number;
    /**
     * when the server refuses the key, whoever waits goes on waiting until `setKey`; by
     * default they are told (`unauthorized`)
     */
    waitForKey?: boolean;
    /**
     * where there is no global one (Node before 22)
     */
    WebSocket?: typeof globalThis.WebSocket;
    fetch?: typeof globalThis.fetch;
    /**
     * before the first try after a break; doubles from try to try up to 10 s
     */
    firstDelayMs?: number;
    /**
     * how long the server may be silent before it is asked whether it is there
     */
    heartbeatMs?: number;
};
/**
 * Every call may be given an `AbortSignal`; what it ends throws the signal's reason.
 *
 * Two connections at most do the work of any number of jobs: one for questions, single jobs and the server's own
 * events, and one for `mine`, because on a shared one what is replayed for the watcher of a job would look like news.
 *
 * Fires `connection`, a `CustomEvent` whose `detail` is a `ConnectionState`, whenever `connection` has changed.
 */
export declare class Safelight extends EventTarget {
    #private;
    /** The REST calls. */
    api: Api;
    /** @type {ConnectionState} how the connections are; see the event of the same name */
    connection: ConnectionState;
    /** @param {SafelightOptions} [options] */
    constructor({ url, key, patienceS, waitForKey, WebSocket, fetch, firstDelayMs, heartbeatMs, }?: SafelightOptions);
    /** Where the server answers. */
    get url(): string;
    /** Whether there is a key to show. */
    get hasKey(): boolean;
    /**
     * Show another key, or none: connections begin anew with it, and what was refused for its key goes on.
     *
     * @param {string | null} key
     */
    setKey(key: string | null): void;
    /** Try to come back now, rather than after the wait that is going on. */
    retryNow(): void;
    /** Leave for good; accepted jobs go on without us. */
    close(): void;
    /**
     * Submit a job: once, however often the connection breaks before the answer.
     *
     * @param {JobRequest} request
     * @param {{idempotencyKey?: string, subscribe?: boolean, signal?: AbortSignal}} [options] `idempotencyKey`: by
     *   default a new one. `subscribe`: false where its events come another way, by `mine`. An aborted submit may have been
     *   accepted.
     * @returns {Promise<Job>} once it is stored
     * @throws {SafelightError} the server refused
     */
    submit(request: JobRequest, { idempotencyKey, subscribe, signal }?: {
        idempotencyKey?: string;
        subscribe?: boolean;
        signal?: AbortSignal;
    }): Promise<Job>;
    /**
     * The events of a job: every fact after `after`, once and in order, and hints as they come; ends after the terminal
     * fact. Comes back by itself after a break.
     *
     * @param {string} jobId
     * @param {{after?: number, signal?: AbortSignal}} [options] `after`: the last `seq` that is known already
     */
    watch(jobId: string, { after, signal }?: {
        after?: number;
        signal?: AbortSignal;
    }): import("./reader.js").Reader;
    /**
     * The events of all jobs that the key may see, as they come; from `cursor` on, or from now on. Every fact has the
     * `cursor` from which to go on after it. Never ends by itself.
     *
     * @param {{cursor?: string | null, signal?: AbortSignal}} [options]
     * @throws {SafelightError} `cursor_expired`: begin anew from `api.jobs()`
     */
    mine({ cursor, signal }?: {
        cursor?: string | null;
        signal?: AbortSignal;
    }): import("./reader.js").Reader;
    /**
     * What the server tells of itself: models on their way, in memory and out of it, and its stopping. Never ends by
     * itself.
     *
     * @param {{signal?: AbortSignal}} [options]
     */
    serverEvents({ signal }?: {
        signal?: AbortSignal;
    }): import("./reader.js").Reader;
    /**
     * Ask that a job be cancelled; the event `job.cancelled` says that it was.
     *
     * @param {string} jobId
     * @param {{signal?: AbortSignal}} [options]
     * @throws {SafelightError} `already_ended`, `not_found`
     */
    cancel(jobId: string, options?: {
        signal?: AbortSignal;
    }): Promise<void>;
    /**
     * Ask that a running job leave out the image it is at; the event `output.skipped` says that it did. Asked once, over
     * HTTP: repeated after a connection that broke, it could cost another image.
     *
     * @param {string} jobId
     * @param {{signal?: AbortSignal}} [options]
     * @throws {SafelightError} `already_ended`, `not_found`; `invalid_params`: it waits, or makes no several;
     *   `unreachable`: whether the server heard is not known
     */
    skip(jobId: string, options?: {
        signal?: AbortSignal;
    }): Promise<void>;
}
