/**
 * What a client and its server say to each other over one socket after another.
 *
 * Whatever is wanted is kept in two tables: messages without a reply yet, and subscriptions without an end yet. A new
 * socket begins by sending both again: submits with their idempotency key, subscriptions from the last fact they have.
 */
import { Feed } from "./feed.js";
import type { SafelightEvent, Reply } from "./wire.js";
export type Subscription = {
    /**
     * a job's id, "mine" or "server"
     */
    name: string;
    hasEnded: boolean;
    subscription: () => object;
    unsubscription: () => object;
    subscribed: (reply: Reply) => void;
    resuming: () => void;
    offer: (event: SafelightEvent) => void;
    fail: (error: unknown) => void;
};
export type Message = {
    type: string;
    [field: string]: unknown;
};
export type Answer = Reply & {
    feed?: Feed;
};
export type Question = {
    message: Message;
    resolve: (answer: Answer) => void;
    reject: (error: unknown) => void;
    timesSent: number;
};
/** @import { SafelightEvent, Reply } from "./wire.js" */
/**
 * What a connection keeps alive across sockets: `Feed`, `MineFeed` or `ServerFeed`.
 *
 * @typedef {object} Subscription
 * @property {string} name a job's id, "mine" or "server"
 * @property {boolean} hasEnded
 * @property {() => object} subscription
 * @property {() => object} unsubscription
 * @property {(reply: Reply) => void} subscribed
 * @property {() => void} resuming
 * @property {(event: SafelightEvent) => void} offer
 * @property {(error: unknown) => void} fail
 */
/** @typedef {{type: string, [field: string]: unknown}} Message */
/**
 * The reply to a question; of a submit that subscribed, with what is kept fed of the job.
 *
 * @typedef {Reply & {feed?: Feed}} Answer
 */
/**
 * A message that waits for its reply.
 *
 * @typedef {object} Question
 * @property {Message} message
 * @property {(answer: Answer) => void} resolve
 * @property {(error: unknown) => void} reject
 * @property {number} timesSent
 */
export declare class Conversation {
    #private;
    /** Whether somebody waits for a reply, or for events. */
    get isWanted(): boolean;
    /**
     * What is kept fed under that name, if anything is.
     *
     * @param {string} name
     */
    subscriptionTo(name: string): Subscription | undefined;
    /**
     * Keep `subscription` fed until it has ended.
     *
     * @param {Subscription} subscription
     */
    subscribe(subscription: Subscription): void;
    /**
     * Nobody wants it any more.
     *
     * @param {Subscription} subscription
     */
    unsubscribe(subscription: Subscription): void;
    /**
     * Send a message, again and again if need be, for as long as somebody waits for its answer.
     *
     * @param {Message} message
     * @param {{signal?: AbortSignal}} [options]
     * @returns {Promise<Answer>}
     * @throws {SafelightError} the server refused, or will not answer any more
     */
    ask(message: Message, { signal }?: {
        signal?: AbortSignal;
    }): Promise<Answer>;
    /**
     * There is a new socket: say again whatever has not been answered or has not ended.
     *
     * @param {(message: object) => void} send
     */
    begin(send: (message: object) => void): void;
    /** The socket has gone. */
    pause(): void;
    /**
     * Take what the server said.
     *
     * @param {Record<string, any>} message
     * @throws {Broken} it cannot go on over this socket
     */
    take(message: Record<string, any>): void;
    /**
     * Answer every submit that has no answer yet with `error`.
     *
     * @param {unknown} error
     */
    failSubmits(error: unknown): void;
    /**
     * Tell everyone who waits for something that it will not come.
     *
     * @param {unknown} error
     */
    failAll(error: unknown): void;
}
