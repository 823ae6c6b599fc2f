/**
 * What fingers, pens and mice do on the canvas: one draws, two move and zoom, the middle button and the space bar move.
 */

/**
 * @typedef {import("./viewport.js").Point} Point
 *
 * @typedef {object} Hand - Who is told. Points are on the screen, from the corner of the element.
 * @property {() => boolean} isMoving - whether the first button moves the picture.
 * @property {(at: Point, event: PointerEvent) => void} begin - something is drawn.
 * @property {(path: readonly Point[], event: PointerEvent) => void} draw
 * @property {(at: Point, event: PointerEvent) => void} end
 * @property {() => void} drop - what was begun is not meant.
 * @property {(dx: number, dy: number) => void} move
 * @property {(factor: number, at: Point) => void} zoom
 * @property {(at: Point | null, event: PointerEvent) => void} hover - null: it has left.
 */

/** How much a notch of the wheel zooms. */
const WHEEL = 0.0016;
const PINCH = 0.01;
/** Of a wheel that counts lines. */
const LINE_PX = 24;

/**
 * @param {HTMLElement} element
 * @param {Hand} hand
 * @param {AbortSignal} signal
 */
export function takePointers(element, hand, signal) {
  /** @type {Map<number, Point>} */
  const down = new Map();
  /** @type {"none" | "drawing" | "moving" | "pinching"} */
  let mode = "none";
  /** @type {DOMRect} */
  let bounds = element.getBoundingClientRect();

  /** @param {MouseEvent} event */
  const at = (event) => ({ x: event.clientX - bounds.left, y: event.clientY - bounds.top });

  /** @param {PointerEvent} event */
  function press(event) {
    if (event.target instanceof Element && event.target.closest("button, input, [role=slider], a") !== null) return;
    if (event.button > 2) return;
    bounds = element.getBoundingClientRect();
    element.setPointerCapture(event.pointerId);
    event.preventDefault();
    down.set(event.pointerId, at(event));
    if (down.size === 2) {
      if (mode === "drawing") hand.drop();
      mode = "pinching";
    } else if (down.size === 1) {
      mode = event.button === 1 || hand.isMoving() ? "moving" : "drawing";
      if (mode === "drawing") hand.begin(at(event), event);
    }
    element.toggleAttribute("data-moving", mode === "moving");
  }

  /** @param {PointerEvent} event */
  function go(event) {
    if (down.size === 0) {
      bounds = element.getBoundingClientRect();
      hand.hover(at(event), event);
      return;
    }
    const before = down.get(event.pointerId);
    if (before === undefined) return;
    const now = at(event);
    if (mode === "drawing") {
      const path = event.getCoalescedEvents?.() ?? [];
      hand.draw(path.length === 0 ? [now] : path.map(at), event);
      hand.hover(now, event);
    } else if (mode === "moving") {
      hand.move(now.x - before.x, now.y - before.y);
    } else if (mode === "pinching") {
      const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
      if (other !== undefined) {
        const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
        const apart = Math.hypot(before.x - other.x, before.y - other.y);
        hand.move((now.x - before.x) / 2, (now.y - before.y) / 2);
        if (apart > 0) hand.zoom(Math.hypot(now.x - other.x, now.y - other.y) / apart, middle);
      }
    }
    down.set(event.pointerId, now);
  }

  /** @param {PointerEvent} event */
  function lift(event) {
    if (!down.delete(event.pointerId)) return;
    if (mode === "drawing") {
      if (event.type === "pointercancel") hand.drop();
      else hand.end(at(event), event);
      mode = "none";
    }
    if (down.size === 0) mode = "none";
    element.removeAttribute("data-moving");
  }

  /** @param {WheelEvent} event */
  function turn(event) {
    event.preventDefault();
    bounds = element.getBoundingClientRect();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : LINE_PX;
    if (event.shiftKey && !event.ctrlKey) hand.move(-(event.deltaX || event.deltaY) * lines, 0);
    else hand.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? PINCH : WHEEL)), at(event));
  }

  element.addEventListener("pointerdown", press, { signal });
  element.addEventListener("pointermove", go, { signal });
  element.addEventListener("pointerup", lift, { signal });
  element.addEventListener("pointercancel", lift, { signal });
  element.addEventListener("pointerleave", (event) => hand.hover(null, event), { signal });
  element.addEventListener("wheel", turn, { signal, passive: false });
  element.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
  // The middle button would scroll the page.
  element.addEventListener("mousedown", (event) => event.button === 1 && event.preventDefault(), { signal });
}
