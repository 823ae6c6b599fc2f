/** A picture in memory, and smaller copies of it: what is shown small is drawn from a small one, which is quick. */

/** The smallest copy has no side longer than this. */
const SMALLEST_PX = 512;

export class Picture {
  /** @param {readonly ImageBitmap[]} levels - each half as wide as the one before. */
  constructor(levels) {
    this.levels = levels;
    const [full] = levels;
    this.width = /** @type {ImageBitmap} */ (full).width;
    this.height = /** @type {ImageBitmap} */ (full).height;
    this.hasAlpha = _hasAlpha(/** @type {ImageBitmap} */ (levels.at(-1)));
  }

  /**
   * @param {Blob} file
   * @returns {Promise<Picture>} upright, as its EXIF says.
   * @throws {DOMException} if the browser cannot read it.
   */
  static async read(file) {
    let last = await createImageBitmap(file);
    const levels = [last];
    while (Math.max(last.width, last.height) > SMALLEST_PX) {
      const size = { resizeWidth: Math.ceil(last.width / 2), resizeHeight: Math.ceil(last.height / 2) };
      last = await createImageBitmap(last, { ...size, resizeQuality: "medium" });
      levels.push(last);
    }
    return new Picture(levels);
  }

  /**
   * @param {number} widthPx
   * @returns {Promise<Blob>} a small copy, as a file.
   */
  small(widthPx) {
    const canvas = new OffscreenCanvas(widthPx, Math.max(1, Math.round((this.height / this.width) * widthPx)));
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.drawImage(/** @type {ImageBitmap} */ (this.levels.at(-1)), 0, 0, canvas.width, canvas.height);
    return canvas.convertToBlob();
  }

  /** Let go of the memory. */
  close() {
    for (const level of this.levels) level.close();
  }

  /**
   * Draw what can be seen of it.
   *
   * @param {CanvasRenderingContext2D} context
   * @param {import("./viewport.js").Viewport} viewport - in pixels of the canvas.
   * @param {import("./viewport.js").Size} view - of the canvas.
   */
  draw(context, { zoom, x, y }, view) {
    const level = Math.min(this.levels.length - 1, Math.max(0, Math.floor(Math.log2(1 / zoom))));
    const bitmap = /** @type {ImageBitmap} */ (this.levels[level]);
    const across = bitmap.width / this.width;
    const down = bitmap.height / this.height;
    // Whole pixels of the copy, and one more on every side for what lies between two.
    const left = Math.max(0, Math.floor((-x / zoom) * across) - 1);
    const top = Math.max(0, Math.floor((-y / zoom) * down) - 1);
    const right = Math.min(bitmap.width, Math.ceil(((view.width - x) / zoom) * across) + 1);
    const bottom = Math.min(bitmap.height, Math.ceil(((view.height - y) / zoom) * down) + 1);
    if (right <= left || bottom <= top) return;
    context.imageSmoothingEnabled = zoom < 3;
    const toLeft = x + (left / across) * zoom;
    const toTop = y + (top / down) * zoom;
    const width = ((right - left) / across) * zoom;
    const height = ((bottom - top) / down) * zoom;
    context.drawImage(bitmap, left, top, right - left, bottom - top, toLeft, toTop, width, height);
  }
}

/**
 * @param {ImageBitmap} bitmap
 * @returns {boolean}
 */
function _hasAlpha(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  for (let index = 3; index < data.length; index += 4) if (data[index] !== 255) return true;
  return false;
}
