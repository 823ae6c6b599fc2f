/** What is drawn on top of picture and mask: clicks, boxes of found text, the rectangle that is being drawn. */

import { toScreen } from "./viewport.js";

/**
 * @typedef {import("./rect.js").Rect} Rect
 * @typedef {import("./viewport.js").Point} Point
 * @typedef {import("./viewport.js").Viewport} Viewport
 *
 * @typedef {object} Marks
 * @property {readonly (Point & {include: boolean})[]} points
 * @property {readonly (Rect & {isTicked: boolean})[]} boxes
 * @property {Rect | null} rectangle
 */

const DOT_PX = 7;
/** Of what is ticked; the same on light and dark, for the picture is neither. */
const TICKED = "#ff7a1a";

/**
 * @param {CanvasRenderingContext2D} context - in screen pixels.
 * @param {Viewport} viewport
 * @param {Marks} marks
 */
export function drawMarks(context, viewport, { points, boxes, rectangle }) {
  for (const box of boxes) {
    _outline(context, viewport, box, box.isTicked ? TICKED : "#fff");
    if (box.isTicked) {
      context.globalAlpha = 0.25;
      context.fillStyle = TICKED;
      context.fillRect(..._onScreen(viewport, box));
      context.globalAlpha = 1;
    }
  }
  if (rectangle !== null) _outline(context, viewport, rectangle, "#fff");
  for (const point of points) {
    const { x, y } = toScreen(viewport, point);
    context.beginPath();
    context.arc(x, y, DOT_PX, 0, 2 * Math.PI);
    context.fillStyle = point.include ? "#1a7f3c" : "#b3261e";
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = "#fff";
    context.stroke();
    context.beginPath();
    context.moveTo(x - 3.5, y);
    context.lineTo(x + 3.5, y);
    if (point.include) {
      context.moveTo(x, y - 3.5);
      context.lineTo(x, y + 3.5);
    }
    context.stroke();
  }
}

/**
 * A line that is seen on any picture: dark around light.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Viewport} viewport
 * @param {Rect} rect
 * @param {string} colour
 */
function _outline(context, viewport, rect, colour) {
  const screen = _onScreen(viewport, rect);
  context.lineWidth = 4;
  context.strokeStyle = "rgb(0 0 0 / 60%)";
  context.strokeRect(...screen);
  context.lineWidth = 2;
  context.strokeStyle = colour;
  context.strokeRect(...screen);
}

/**
 * @param {Viewport} viewport
 * @param {Rect} rect
 * @returns {[number, number, number, number]}
 */
function _onScreen(viewport, { x, y, width, height }) {
  const start = toScreen(viewport, { x, y });
  return [Math.round(start.x), Math.round(start.y), Math.round(width * viewport.zoom), Math.round(height * viewport.zoom)];
}
