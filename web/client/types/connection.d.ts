/**
 * The WebSocket that comes back: one socket carries many jobs, and breaks without anyone noticing.
 *
 * What is said over it, and said again over the next one, is in conversation.js.
 */
import { SafelightError } from "./errors.js";
export type ConnectionState = {
    /**
     * `lost`: it will try again; `refused`: it will
     * not, until there is another key or something new is wanted; `closed`: nothing is wanted of it
     */
    phase: "connecting" | "open" | "lost" | "refused" | "closed";
    /**
     * in words; empty where there is nothing to say
     */
    reason: string;
    /**
     * of `lost`: when the next try begins
     */
    retryInMs: number | null;
    /**
     * of `refused`: why
     */
    code: string | null;
};
export type ConnectionOptions = {
    /**
     * of `/v1/ws`
     */
    url: string;
    key: () => string | null;
    WebSocket: typeof globalThis.WebSocket;
    patienceS: number;
    waitForKey: boolean;
    firstDelayMs: number;
    heartbeatMs: number;
    /**
     * what is wrong where no socket could be opened, if it can
     * be told
     */
    probe: () => Promise<SafelightError | null>;
    /**
     * told after every change of `state`
     */
    onState: () => void;
};
/** Connects when it is first needed, comes back by itself while something is wanted, and rests otherwise. */
export declare class Connection {
    #private;
    /** @type {ConnectionState} */
    state: ConnectionState;
    /** @param {ConnectionOptions} options */
    constructor(options: ConnectionOptions);
    /**
     * @param {import("./conversation.js").Message} message
     * @param {{signal?: AbortSignal}} [options]
     */
    ask(message: import("./conversation.js").Message, options?: {
        signal?: AbortSignal;
    }): Promise<import("./conversation.js").Answer>;
    /** @param {string} name */
    subscriptionTo(name: string): import("./conversation.js").Subscription | undefined;
    /** @param {import("./conversation.js").Subscription} subscription */
    subscribe(subscription: import("./conversation.js").Subscription): void;
    /** @param {import("./conversation.js").Subscription} subscription */
    unsubscribe(subscription: import("./conversation.js").Subscription): void;
    /** Something changed that makes a new try worth while: the network, or that somebody looks. */
    retryNow(): void;
    /** There is another key: begin anew with it. */
    keyChanged(): void;
    /**
     * For good. Whoever waits is told.
     *
     * @param {string} [reason]
     */
    close(reason?: string): void;
}
