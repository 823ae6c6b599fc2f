/** The events of the server itself: models on their way, in memory and out of it, and its stopping. */

import { Reader } from "./reader.js";

/** @import { SafelightEvent } from "./wire.js" */

/** Hints of the `server` topic, for any number of readers: what is told while the connection is broken is lost. */
export class ServerFeed {
  /** @type {Set<Reader>} */
  #readers = new Set();
  #isAgreed = false;
  hasEnded = false;
  name = "server";
  /** @type {(() => void) | undefined} called when the last reader has left */
  onDone = undefined;

  subscription() {
    return { type: "subscribe", topic: "server" };
  }

  unsubscription() {
    return { type: "unsubscribe", topic: "server" };
  }

  /** The server agreed. */
  subscribed() {
    this.#isAgreed = true;
    for (const reader of this.#readers) reader.begin();
  }

  resuming() {}

  /** @param {SafelightEvent} event */
  offer(event) {
    for (const reader of this.#readers) reader.put(event);
  }

  /** @param {unknown} error */
  fail(error) {
    this.hasEnded = true;
    for (const reader of this.#readers) reader.end(error);
    this.#readers.clear();
  }

  /** @param {{signal?: AbortSignal}} [options] */
  read({ signal } = {}) {
    const reader = new Reader({ signal, onLeave: (left) => this.#leave(left) });
    if (!signal?.aborted) this.#readers.add(reader);
    if (this.#isAgreed) reader.begin();
    return reader;
  }

  /** @param {Reader} reader */
  #leave(reader) {
    if (this.#readers.delete(reader) && this.#readers.size === 0 && !this.hasEnded) this.onDone?.();
  }
}
