/**
 * A list of jobs as a grid of pictures, of which only those near the screen are in the document.
 *
 * It is one list box with one place in the order of Tab; the arrow keys move in it. Events: `open` with the id of a job
 * as its detail, and `delete` when that key is pressed.
 */

import "./job-tile.js";

import { h } from "../dom.js";
import { t } from "../words/words.js";

/**
 * @typedef {import("../job-list.js").JobList} JobList
 * @typedef {import("../selection.js").Selection} Selection
 * @typedef {import("./job-tile.js").JobTile} JobTile
 */

const NARROWEST_TILE_PX = 168;
const NARROWEST_ON_A_PHONE_PX = 148;
const GAP_PX = 12;
const CAPTION_REM = 3.25;
/** Rows beyond the edges of the window that are there before they are seen. */
const SPARE_ROWS = 2;
/** So many rows before the end the next page is asked for. */
const EARLY_ROWS = 6;

export class JobGrid extends HTMLElement {
  #leaving = new AbortController();
  #listening = new AbortController();
  #tiles = h("div", { className: "job-grid-tiles", role: "none" });
  #box = h(
    "div",
    { className: "job-grid", role: "listbox", tabIndex: 0, "aria-multiselectable": "true", "aria-label": t("history.ended") },
    this.#tiles,
  );
  /** @type {Map<string, JobTile>} */
  #shown = new Map();
  /** @type {JobList | undefined} */
  #list;
  /** @type {Selection | undefined} */
  #selection;
  #columns = 1;
  #rowPx = 1;
  #isDrawingDue = false;
  /** @type {string | null} the job that the keys act on. */
  #active = null;

  connectedCallback() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.replaceChildren(this.#box);
    this.#box.addEventListener("click", (/** @type {MouseEvent} */ event) => this.#click(event), { signal });
    this.#box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#press(event), { signal });
    this.#box.addEventListener("focus", () => this.#focus(), { signal });
    addEventListener("scroll", () => this.#drawSoon(), { signal, passive: true });
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined && entry.contentRect.width > 0) this.#measure(entry.contentRect.width);
    });
    observer.observe(this.#box);
    addEventListener("resize", () => this.#drawSoon(), { signal });
    signal.addEventListener("abort", () => observer.disconnect());
    this.#listen();
  }

  disconnectedCallback() {
    this.#leaving.abort();
    this.#listening.abort();
  }

  /**
   * @param {JobList} list
   * @param {Selection} selection
   */
  show(list, selection) {
    this.#list = list;
    this.#selection = selection;
    this.#active = null;
    this.#listen();
    this.#drawSoon();
  }

  /** Whether the first row is in sight, so that what comes above it is seen, and moves nothing that is being read. */
  get isAtTop() {
    return this.#box.getBoundingClientRect().top > -this.#rowPx / 2;
  }

  /** Draw anew: the grid was hidden, or something above it has another height. */
  refresh() {
    this.#drawSoon();
  }

  #listen() {
    this.#listening.abort();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.#list?.addEventListener("change", () => this.#drawSoon(), { signal });
    this.#selection?.addEventListener("change", () => this.#drawSoon(), { signal });
  }

  /** @param {number} width - of the box, in px. */
  #measure(width) {
    const narrowest = width < 520 ? NARROWEST_ON_A_PHONE_PX : NARROWEST_TILE_PX;
    this.#columns = Math.max(2, Math.floor((width + GAP_PX) / (narrowest + GAP_PX)));
    const tilePx = (width - GAP_PX * (this.#columns - 1)) / this.#columns;
    const remPx = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.#rowPx = tilePx + CAPTION_REM * remPx + GAP_PX;
    this.#tiles.style.setProperty("grid-template-columns", `repeat(${this.#columns}, minmax(0, 1fr))`);
    this.#tiles.style.setProperty("grid-auto-rows", `${this.#rowPx - GAP_PX}px`);
    this.#drawSoon();
  }

  #drawSoon() {
    if (this.#isDrawingDue) return;
    this.#isDrawingDue = true;
    requestAnimationFrame(() => {
      this.#isDrawingDue = false;
      this.#draw();
    });
  }

  #draw() {
    const list = this.#list;
    if (list === undefined) return;
    if (list.ids.length === 0) this.#fill(0, 0);
    if (this.#box.offsetParent === null) return;
    const { ids } = list;
    const rows = Math.ceil(ids.length / this.#columns);
    const above = -this.#box.getBoundingClientRect().top;
    const firstRow = _within(Math.floor(above / this.#rowPx) - SPARE_ROWS, 0, rows);
    const endRow = _within(Math.ceil((above + innerHeight) / this.#rowPx) + SPARE_ROWS, firstRow, rows);
    this.#box.style.blockSize = `${Math.max(0, rows * this.#rowPx - GAP_PX)}px`;
    this.#tiles.style.transform = `translateY(${firstRow * this.#rowPx}px)`;
    this.#fill(firstRow * this.#columns, Math.min(ids.length, endRow * this.#columns));
    if (!list.isComplete && list.error === undefined && endRow > rows - EARLY_ROWS) void list.more();
  }

  /**
   * @param {number} first
   * @param {number} end - not included.
   */
  #fill(first, end) {
    const list = /** @type {JobList} */ (this.#list);
    const wanted = list.ids.slice(first, end);
    list.need(first, end);
    const kept = new Set(wanted);
    for (const [id, tile] of this.#shown) {
      if (kept.has(id)) continue;
      tile.remove();
      this.#shown.delete(id);
    }
    /** @type {Element | null} */
    let next = this.#tiles.firstElementChild;
    wanted.forEach((id, offset) => {
      const tile = this.#shown.get(id) ?? this.#tile(id);
      if (tile === next) next = next.nextElementSibling;
      else this.#tiles.insertBefore(tile, next);
      tile.job = list.job(id);
      _set(tile, "aria-selected", String(this.#selection?.has(id) ?? false));
      _set(tile, "aria-posinset", String(first + offset + 1));
      _set(tile, "aria-setsize", String(list.isComplete ? list.ids.length : -1));
      tile.toggleAttribute("active", id === this.#active);
    });
    _set(this.#box, "data-choosing", String((this.#selection?.size ?? 0) > 0));
    const active = this.#active === null ? undefined : this.#shown.get(this.#active);
    if (active === undefined) this.#box.removeAttribute("aria-activedescendant");
    else _set(this.#box, "aria-activedescendant", active.id);
  }

  /** @param {string} id */
  #tile(id) {
    const tile = /** @type {JobTile} */ (h("sl-job-tile", { id: `job-${id}`, "data-job": id }));
    this.#shown.set(id, tile);
    return tile;
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {Element} */ (event.target);
    const id = /** @type {HTMLElement | null} */ (target.closest("sl-job-tile"))?.dataset.job;
    const selection = this.#selection;
    if (id === undefined || selection === undefined) return;
    this.#active = id;
    const isChoosing = selection.size > 0 || target.closest(".tile-check") !== null || event.ctrlKey || event.metaKey;
    if (event.shiftKey) selection.through(this.#list?.ids ?? [], id);
    else if (isChoosing) selection.toggle(id);
    else this.#open(id);
    this.#drawSoon();
  }

  #focus() {
    if (this.#active !== null && this.#list?.ids.includes(this.#active)) return;
    const first = [...this.#shown.values()].find((tile) => tile.getBoundingClientRect().top > 0);
    this.#active = first?.dataset.job ?? this.#list?.ids[0] ?? null;
    this.#drawSoon();
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const list = this.#list;
    const selection = this.#selection;
    if (list === undefined || selection === undefined || list.ids.length === 0 || event.altKey) return;
    const { ids } = list;
    const place = this.#active === null ? -1 : ids.indexOf(this.#active);
    const page = this.#columns * Math.max(1, Math.floor(innerHeight / this.#rowPx));
    /** @type {Record<string, number>} */
    const moves = {
      ArrowLeft: place - 1,
      ArrowRight: place + 1,
      ArrowUp: place - this.#columns,
      ArrowDown: place + this.#columns,
      PageUp: place - page,
      PageDown: place + page,
      Home: 0,
      End: ids.length - 1,
    };
    const to = moves[event.key];
    const id = ids[Math.max(0, place)];
    if (to !== undefined) this.#move(to < 0 && place >= 0 && event.key === "ArrowUp" ? place : to, event.shiftKey);
    else if (event.key === " ") selection.toggle(/** @type {string} */ (id));
    else if (event.key === "Enter") this.#open(/** @type {string} */ (id));
    else if (event.key === "Delete") this.dispatchEvent(new CustomEvent("delete", { detail: selection.size > 0 ? selection.ids : [id] }));
    else return;
    event.preventDefault();
  }

  /**
   * @param {number} to
   * @param {boolean} chooses
   */
  #move(to, chooses) {
    const { ids } = /** @type {JobList} */ (this.#list);
    const place = _within(to, 0, ids.length - 1);
    const id = /** @type {string} */ (ids[place]);
    if (chooses) {
      if (this.#selection?.size === 0 && this.#active !== null) this.#selection.toggle(this.#active);
      this.#selection?.through(ids, id);
    }
    this.#active = id;
    this.#reveal(Math.floor(place / this.#columns));
    this.#drawSoon();
  }

  /** @param {number} row */
  #reveal(row) {
    const box = this.#box.getBoundingClientRect();
    const style = getComputedStyle(this.#box);
    const top = box.top + row * this.#rowPx - parseFloat(style.scrollMarginTop);
    const bottom = box.top + (row + 1) * this.#rowPx + parseFloat(style.scrollMarginBottom);
    if (top < 0) scrollBy({ top });
    else if (bottom > innerHeight) scrollBy({ top: bottom - innerHeight });
  }

  /** @param {string} id */
  #open(id) {
    this.dispatchEvent(new CustomEvent("open", { detail: id }));
  }
}

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
function _within(value, least, most) {
  return Math.max(least, Math.min(most, value));
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {string} value
 */
function _set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

customElements.define("sl-job-grid", JobGrid);
