/**
 * The WebSocket that comes back: one socket carries many jobs, and breaks without anyone noticing.
 *
 * What is said over it, and said again over the next one, is in conversation.js.
 */

import { Backoff } from "./backoff.js";
import { Conversation } from "./conversation.js";
import { SafelightError } from "./errors.js";
import { JSON_SUBPROTOCOL, KEY_SUBPROTOCOL_PREFIX } from "./events.js";
import { decodeFrame } from "./frames.js";
import { Heartbeat } from "./heartbeat.js";
import { writeJson } from "./json.js";
import { Broken, ofClose } from "./verdict.js";

/**
 * @typedef {object} ConnectionState
 * @property {"connecting" | "open" | "lost" | "refused" | "closed"} phase `lost`: it will try again; `refused`: it will
 *   not, until there is another key or something new is wanted; `closed`: nothing is wanted of it
 * @property {string} reason in words; empty where there is nothing to say
 * @property {number | null} retryInMs of `lost`: when the next try begins
 * @property {string | null} code of `refused`: why
 */

/**
 * @typedef {object} ConnectionOptions
 * @property {string} url of `/v1/ws`
 * @property {() => string | null} key
 * @property {typeof globalThis.WebSocket} WebSocket
 * @property {number} patienceS
 * @property {boolean} waitForKey
 * @property {number} firstDelayMs
 * @property {number} heartbeatMs
 * @property {() => Promise<SafelightError | null>} probe what is wrong where no socket could be opened, if it can
 *   be told
 * @property {() => void} onState told after every change of `state`
 */

const OPEN_TIMEOUT_MS = 15_000;
const NORMAL = 1000;

/** Connects when it is first needed, comes back by itself while something is wanted, and rests otherwise. */
export class Connection {
  #options;
  #conversation = new Conversation();
  #backoff;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} of the next try, or of opening */
  #timer = undefined;
  #heartbeat;
  #wasConnected = false;
  #isClosed = false;
  /** @type {ConnectionState} */
  state = { phase: "closed", reason: "", retryInMs: null, code: null };

  /** @param {ConnectionOptions} options */
  constructor(options) {
    this.#options = options;
    this.#backoff = new Backoff(options.patienceS, options.firstDelayMs);
    this.#heartbeat = new Heartbeat({
      silenceMs: options.heartbeatMs,
      ask: () => this.#socket?.send(writeJson({ type: "ping", ref: "ping" })),
      onDead: () => this.#drop("no answer to a ping in time"),
    });
  }

  // What is wanted

  /**
   * @param {import("./conversation.js").Message} message
   * @param {{signal?: AbortSignal}} [options]
   */
  ask(message, options) {
    this.#requireOpen();
    const answer = this.#conversation.ask(message, options);
    this.#keepRunning();
    return answer;
  }

  /** @param {string} name */
  subscriptionTo(name) {
    return this.#conversation.subscriptionTo(name);
  }

  /** @param {import("./conversation.js").Subscription} subscription */
  subscribe(subscription) {
    this.#requireOpen();
    this.#conversation.subscribe(subscription);
    this.#keepRunning();
  }

  /** @param {import("./conversation.js").Subscription} subscription */
  unsubscribe(subscription) {
    this.#conversation.unsubscribe(subscription);
  }

  /** Something changed that makes a new try worth while: the network, or that somebody looks. */
  retryNow() {
    if (this.state.phase === "lost") this.#connect();
    else if (this.state.phase === "open") this.#heartbeat.askNow();
  }

  /** There is another key: begin anew with it. */
  keyChanged() {
    if (this.#isClosed) return;
    this.#abandon();
    this.#backoff.succeeded();
    if (this.#conversation.isWanted) this.#connect();
    else this.#tell({ phase: "closed" });
  }

  /**
   * For good. Whoever waits is told.
   *
   * @param {string} [reason]
   */
  close(reason = "the client was closed") {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#abandon();
    this.#conversation.failAll(new SafelightError("closed", reason));
    this.#tell({ phase: "closed", reason });
  }

  #requireOpen() {
    if (this.#isClosed) throw new SafelightError("closed", "the client was closed");
  }

  #keepRunning() {
    const { phase } = this.state;
    const isAtRest = phase === "closed" || (phase === "refused" && !this.#waitsForKey);
    if (isAtRest && this.#socket === null && this.#conversation.isWanted) this.#connect();
  }

  get #waitsForKey() {
    return this.#options.waitForKey && this.state.code === "unauthorized";
  }

  // The life of the connection

  #connect() {
    const { url, key, WebSocket } = this.#options;
    this.#abandon();
    this.#tell({ phase: "connecting" });
    const secret = key();
    const offered = secret === null ? [JSON_SUBPROTOCOL] : [JSON_SUBPROTOCOL, KEY_SUBPROTOCOL_PREFIX + secret];
    /** @type {WebSocket} */
    let socket;
    try {
      socket = new WebSocket(url, offered);
    } catch (error) {
      // A key with characters that a subprotocol may not have.
      this.#refuse(new SafelightError("unauthorized", String(error), { cause: error }));
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    let wasOpened = false;
    socket.onopen = () => {
      wasOpened = true;
      this.#opened(socket);
    };
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = (end) => {
      this.#abandon();
      if (wasOpened) this.#closed(ofClose(end));
      else void this.#notOpened(ofClose(end).reason);
    };
    socket.onerror = () => {
      if (wasOpened) return; // `onclose` follows, and knows more
      this.#abandon(); // `onclose` knows no more, and in Node 20 it does not come
      void this.#notOpened("no connection");
    };
    this.#timer = setTimeout(() => this.#drop("no answer to the handshake"), OPEN_TIMEOUT_MS);
  }

  /** @param {WebSocket} socket */
  #opened(socket) {
    if (socket.protocol !== JSON_SUBPROTOCOL) {
      this.#refuse(new SafelightError("unexpected_answer", `${this.#options.url} does not speak ${JSON_SUBPROTOCOL}`));
      return;
    }
    clearTimeout(this.#timer);
    this.#wasConnected = true;
    this.#heartbeat.start();
    this.#tell({ phase: "open" });
    this.#conversation.begin((message) => socket.send(writeJson(message)));
  }

  /** @param {string | ArrayBuffer} data */
  #received(data) {
    this.#heartbeat.heard();
    this.#backoff.succeeded();
    try {
      let message;
      try {
        message = decodeFrame(data);
      } catch (error) {
        throw new Broken(`a frame that cannot be read: ${error}`);
      }
      this.#conversation.take(message);
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      this.#drop(error.message);
    }
  }

  /** @param {import("./verdict.js").Verdict} verdict */
  #closed({ reason, final, isTooBig }) {
    if (isTooBig) {
      // Sent again it would be too big again; what is small enough still wants its answer.
      this.#conversation.failSubmits(new SafelightError("too_large", `a job request is too large: ${reason}`));
    }
    if (final === null) this.#lost(reason);
    else this.#refuse(final);
  }

  /**
   * No socket could be opened. A browser does not say why, so the first time the server is asked.
   *
   * @param {string} reason
   */
  async #notOpened(reason) {
    if (!this.#wasConnected && this.#backoff.failures === 0) {
      const { state } = this;
      const problem = await this.#options.probe();
      if (this.state !== state) return; // closed, or begun anew, in the meantime
      if (problem !== null) {
        this.#refuse(problem);
        return;
      }
    }
    this.#lost(reason);
  }

  /**
   * The socket is of no more use.
   *
   * @param {string} reason
   */
  #drop(reason) {
    this.#abandon();
    this.#lost(reason);
  }

  /** @param {string} reason */
  #lost(reason) {
    if (!this.#conversation.isWanted) {
      this.#tell({ phase: "closed", reason });
      return;
    }
    this.#backoff.failed();
    if (this.#backoff.isExhausted) {
      this.#backoff.succeeded();
      const { url } = this.#options;
      const error = this.#wasConnected
        ? new SafelightError("connection_lost", `the connection to ${url} did not come back (${reason})`)
        : new SafelightError("unreachable", `no server answers at ${url} (${reason}); is it running?`);
      this.#wasConnected = false;
      this.#refuse(error);
      return;
    }
    const retryInMs = this.#backoff.delayMs();
    this.#timer = setTimeout(() => {
      if (this.#conversation.isWanted) this.#connect();
      else this.#tell({ phase: "closed", reason });
    }, retryInMs);
    this.#tell({ phase: "lost", reason, retryInMs });
  }

  /**
   * No socket would be of use.
   *
   * @param {SafelightError} error
   */
  #refuse(error) {
    this.#abandon();
    this.#tell({ phase: "refused", reason: error.message, code: error.code });
    if (!this.#waitsForKey) this.#conversation.failAll(error);
  }

  /** Have done with the socket: whatever it still says is not heard. */
  #abandon() {
    clearTimeout(this.#timer);
    this.#heartbeat.stop();
    this.#conversation.pause();
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close(NORMAL);
  }

  /** @param {Partial<ConnectionState>} state */
  #tell({ phase = "closed", reason = "", retryInMs = null, code = null }) {
    this.state = { phase, reason, retryInMs, code };
    this.#options.onState();
  }
}
