/** How long to wait before trying again, and when to stop trying. */
/** Delays that double from try to try, each cut by a random share so that many clients do not come back as one. */
export declare class Backoff {
    #private;
    /** Tries in a row that did not work. */
    failures: number;
    /**
     * @param {number} patienceS how long without success until `isExhausted`; Infinity never gives up
     * @param {number} [firstDelayMs]
     */
    constructor(patienceS: number, firstDelayMs?: number);
    /** Begin anew: the last try worked. */
    succeeded(): void;
    /** Count one more try that did not work. */
    failed(): void;
    /** Whether patience has run out since the first of the failures in a row. */
    get isExhausted(): boolean;
    /** How long to wait now: between half and all of the doubled delay. */
    delayMs(): number;
}
