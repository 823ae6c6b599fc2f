/** Whether the other side is still there. A browser does not show a server's pings, so the client asks by itself. */
export declare class Heartbeat {
    #private;
    /**
     * @param {object} options
     * @param {number} options.silenceMs how long nothing may come before the other side is asked
     * @param {() => void} options.ask
     * @param {() => void} options.onDead called once: nothing came after a question
     */
    constructor({ silenceMs, ask, onDead }: {
        silenceMs: number;
        ask: () => void;
        onDead: () => void;
    });
    start(): void;
    stop(): void;
    /** Something came; called for every message, so it sets no timer. */
    heard(): void;
    /** Ask without waiting for silence. */
    askNow(): void;
}
