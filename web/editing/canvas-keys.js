/** The canvas by keyboard: a crosshair is moved with the arrow keys, and Enter or the space bar does what a click does. */

/**
 * @typedef {object} KeyHand
 * @property {(dx: number, dy: number) => void} step - move the crosshair, in screen px.
 * @property {(dx: number, dy: number) => void} move - move what is seen.
 * @property {(isOther: boolean) => void} act - at the crosshair; `isOther` with Shift: leave out rather than add.
 * @property {() => boolean} drop - what was begun is not meant; false if nothing was.
 */

const STEP_PX = 12;
const MOVE_PX = 60;
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class CanvasKeys {
  /** Whether the space bar is held: then a pointer moves what is seen. */
  isSpaceHeld = false;
  /** Set by whoever moves with it held: then letting it go does nothing more. */
  isSpaceUsed = false;

  /**
   * @param {HTMLElement} element - that has the focus.
   * @param {KeyHand} hand
   * @param {AbortSignal} signal
   */
  constructor(element, hand, signal) {
    element.addEventListener(
      "keydown",
      (event) => {
        if (event.target !== element || event.ctrlKey || event.metaKey || event.altKey) return;
        const arrow = ARROWS[event.key];
        if (arrow !== undefined) {
          const [dx, dy] = arrow;
          if (event.shiftKey) hand.move(-dx * MOVE_PX, -dy * MOVE_PX);
          else hand.step(dx * STEP_PX, dy * STEP_PX);
        } else if (event.key === "Enter") {
          if (!event.repeat) hand.act(event.shiftKey);
        } else if (event.key === " ") {
          if (!event.repeat) this.isSpaceUsed = false;
          this.isSpaceHeld = true;
          element.dataset.space = "";
        } else if (event.key !== "Escape" || !hand.drop()) {
          return;
        }
        event.preventDefault();
      },
      { signal },
    );
    const release = () => {
      this.isSpaceHeld = false;
      delete element.dataset.space;
    };
    element.addEventListener(
      "keyup",
      (event) => {
        if (event.key !== " " || !this.isSpaceHeld) return;
        release();
        if (!this.isSpaceUsed) hand.act(event.shiftKey);
      },
      { signal },
    );
    element.addEventListener("blur", release, { signal });
  }
}
