/**
 * What a client and its server say to each other over one socket after another.
 *
 * Whatever is wanted is kept in two tables: messages without a reply yet, and subscriptions without an end yet. A new
 * socket begins by sending both again: submits with their idempotency key, subscriptions from the last fact they have.
 */

import { readRefusal } from "./errors.js";
import { Feed, Gap } from "./feed.js";
import { Broken } from "./verdict.js";

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

export class Conversation {
  #lastRef = 0;
  /** @type {Map<string, Question>} */
  #questions = new Map();
  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  /** @type {Map<string, Subscription>} */
  #subscribing = new Map();
  /** @type {((message: object) => void) | null} without a socket nothing is sent, and all of it is when there is one */
  #send = null;

  /** Whether somebody waits for a reply, or for events. */
  get isWanted() {
    return this.#questions.size > 0 || this.#subscriptions.size > 0;
  }

  /**
   * What is kept fed under that name, if anything is.
   *
   * @param {string} name
   */
  subscriptionTo(name) {
    return this.#subscriptions.get(name);
  }

  /**
   * Keep `subscription` fed until it has ended.
   *
   * @param {Subscription} subscription
   */
  subscribe(subscription) {
    this.#subscriptions.set(subscription.name, subscription);
    this.#sendSubscribe(subscription);
  }

  /**
   * Nobody wants it any more.
   *
   * @param {Subscription} subscription
   */
  unsubscribe(subscription) {
    if (this.#subscriptions.get(subscription.name) !== subscription) return;
    this.#subscriptions.delete(subscription.name);
    if (!subscription.hasEnded) this.#send?.({ ...subscription.unsubscription(), ref: this.#newRef() });
  }

  /**
   * Send a message, again and again if need be, for as long as somebody waits for its answer.
   *
   * @param {Message} message
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Answer>}
   * @throws {SafelightError} the server refused, or will not answer any more
   */
  ask(message, { signal } = {}) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw signal.reason;
      const ref = this.#newRef();
      const abort = () => {
        this.#questions.delete(ref);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", abort, { once: true });
      const settled = () => signal?.removeEventListener("abort", abort);
      const question = {
        message,
        resolve: (/** @type {Answer} */ answer) => (settled(), resolve(answer)),
        reject: (/** @type {unknown} */ error) => (settled(), reject(error)),
        timesSent: 0,
      };
      this.#questions.set(ref, question);
      this.#sendQuestion(ref, question);
    });
  }

  /**
   * There is a new socket: say again whatever has not been answered or has not ended.
   *
   * @param {(message: object) => void} send
   */
  begin(send) {
    this.#send = send;
    this.#subscribing.clear();
    for (const subscription of this.#subscriptions.values()) {
      subscription.resuming();
      this.#sendSubscribe(subscription);
    }
    for (const [ref, question] of this.#questions) this.#sendQuestion(ref, question);
  }

  /** The socket has gone. */
  pause() {
    this.#send = null;
  }

  /**
   * Take what the server said.
   *
   * @param {Record<string, any>} message
   * @throws {Broken} it cannot go on over this socket
   */
  take(message) {
    if (message.type === "reply") this.#takeReply(/** @type {any} */ (message));
    else this.#takeEvent(/** @type {any} */ (message));
  }

  /**
   * Answer every submit that has no answer yet with `error`.
   *
   * @param {unknown} error
   */
  failSubmits(error) {
    for (const [ref, question] of this.#questions) {
      if (question.message.type !== "submit") continue;
      this.#questions.delete(ref);
      question.reject(error);
    }
  }

  /**
   * Tell everyone who waits for something that it will not come.
   *
   * @param {unknown} error
   */
  failAll(error) {
    const questions = [...this.#questions.values()];
    const subscriptions = [...this.#subscriptions.values()];
    this.#questions.clear();
    this.#subscriptions.clear();
    for (const question of questions) question.reject(error);
    for (const subscription of subscriptions) subscription.fail(error);
  }

  #newRef() {
    this.#lastRef += 1;
    return `r${this.#lastRef}`;
  }

  /**
   * @param {string} ref
   * @param {Question} question
   */
  #sendQuestion(ref, question) {
    if (this.#send === null) return;
    question.timesSent += 1;
    this.#send({ ...question.message, ref });
  }

  /** @param {Subscription} subscription */
  #sendSubscribe(subscription) {
    if (this.#send === null) return;
    const ref = this.#newRef();
    this.#subscribing.set(ref, subscription);
    this.#send({ ...subscription.subscription(), ref });
  }

  /** @param {SafelightEvent} event */
  #takeEvent(event) {
    const { job_id: jobId } = event;
    const subscription =
      jobId === undefined
        ? this.#subscriptions.get("server")
        : (this.#subscriptions.get(jobId) ?? this.#subscriptions.get("mine"));
    if (subscription === undefined) return; // left in the meantime
    try {
      subscription.offer(event);
    } catch (error) {
      if (error instanceof Gap) throw new Broken(`events are missing: ${error.message}`);
      throw error;
    }
    this.#forgetIfEnded(subscription);
  }

  /** @param {Reply} reply */
  #takeReply(reply) {
    const { ref } = reply;
    if (typeof ref !== "string") return; // to a frame that the server could not read; it says so by its close code
    const subscription = this.#subscribing.get(ref);
    const question = this.#questions.get(ref);
    if (subscription !== undefined) {
      this.#subscribing.delete(ref);
      this.#takeSubscribed(subscription, reply);
    } else if (question !== undefined) {
      this.#takeAnswer(ref, question, reply);
    }
  }

  /**
   * @param {Subscription} subscription
   * @param {Reply} reply
   */
  #takeSubscribed(subscription, reply) {
    if (reply.ok) subscription.subscribed(reply);
    else subscription.fail(readRefusal(reply.error));
    this.#forgetIfEnded(subscription);
  }

  /** @param {Subscription} subscription */
  #forgetIfEnded(subscription) {
    if (subscription.hasEnded && this.#subscriptions.get(subscription.name) === subscription) {
      this.#subscriptions.delete(subscription.name);
    }
  }

  /**
   * @param {string} ref
   * @param {Question} question
   * @param {Reply} reply
   */
  #takeAnswer(ref, question, reply) {
    const { message } = question;
    const code = reply.ok ? null : reply.error?.code;
    // The question stays, and is asked again of whoever answers next.
    if (code === "draining") throw new Broken("the server is draining");
    this.#questions.delete(ref);
    // The first time it was heard, and the answer was lost with its socket.
    const wasHeard = code === "already_ended" && message.type === "cancel" && question.timesSent > 1;
    if (!reply.ok && !wasHeard) {
      question.reject(readRefusal(reply.error));
      return;
    }
    const submitted = message.type === "submit" && message.subscribe ? reply.job : null;
    question.resolve(submitted ? { ...reply, feed: this.#watchSubmitted(submitted.id) } : reply);
  }

  /**
   * The server tells a submitted job from its beginning, right after this reply.
   *
   * @param {string} jobId
   */
  #watchSubmitted(jobId) {
    const known = this.#subscriptions.get(jobId);
    const feed = known instanceof Feed ? known : new Feed(jobId);
    feed.submitted();
    this.#subscriptions.set(jobId, feed);
    return feed;
  }
}
