/** The view edit: a picture, a mask painted on it, what is made of them, and the versions that come of it. */

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { fetchPicture, Workbench } from "../editing/workbench.js";
import { ancestors, placeOf } from "../editing/versions.js";
import { NO_SIDES } from "../editing/viewport.js";
import { icon } from "../icons.js";
import { errorWords, number, t } from "../words/words.js";
import { EditActions } from "./edit-actions.js";
import { EditProgress } from "./edit-progress.js";
import { EditToolbar } from "./edit-toolbar.js";
import { MaskCanvas } from "./mask-canvas.js";
import { ObjectFinder } from "./object-finder.js";
import { TextFinder } from "./text-finder.js";
import { VersionStrip } from "./version-strip.js";

/**
 * @typedef {import("../editing/mask.js").Mask} Mask
 * @typedef {import("../editing/picture.js").Picture} Picture
 * @typedef {import("../editing/versions.js").Version} Version
 * @typedef {import("../editing/mask-tools.js").Tool} Tool
 */

const ZOOM_STEP = 1.25;
const BRUSH_STEP = 1.2;
const GROW_PX = 4;
/** A brush to begin with, as a share of the longer side. */
const BRUSH_SHARE = 0.05;
/** How much is added on every side by one press, as a share of that side. */
const AROUND_SHARE = 0.25;
const STRIP_PX = 144;
const RECENT = 8;

export class EditView extends HTMLElement {
  #leaving = new AbortController();
  #away = new AbortController();
  #bench = new Workbench(this.#leaving.signal);
  #canvas = new MaskCanvas();
  #toolbar = new EditToolbar();
  #actions = new EditActions();
  #strip = new VersionStrip();
  #progress = new EditProgress();
  #objects = new ObjectFinder();
  #texts = new TextFinder();
  #file = h("input", { type: "file", accept: "image/*", hidden: true, tabIndex: -1, "aria-label": t("edit.open") });
  #empty = h("section", { className: "edit-empty" });
  #desk = h("div", { className: "edit-bench", hidden: true });
  #status = h("p", { className: "soft numbers", role: "status" });
  #comparing = h("select", { "aria-label": t("edit.compare.with"), hidden: true, className: "edit-compare-with" });
  #busy = h("p", { className: "edit-busy", hidden: true, role: "status" });
  #wrong = h("p", { className: "edit-wrong", role: "alert", hidden: true });
  #recent = h("ul", { className: "edit-recent", "aria-label": t("edit.recent") });

  /** @type {Tool} */
  #tool = "brush";
  #brushPx = 40;
  #isComparing = false;
  /** @type {{points: {x: number, y: number, include: boolean}[], mask: Mask | null, asking: AbortController | null}} */
  #object = { points: [], mask: null, asking: null };
  /** @type {{found: import("./text-finder.js").FoundText[] | null, mask: Mask | null, asking: AbortController | null}} */
  #text = { found: null, mask: null, asking: null };
  /** @type {Picture | null} */
  #shown = null;
  /** @type {Uint8Array | null} */
  #previewed = null;
  #previewUrl = "";
  /** What this tab edited before it was loaded anew is there again. */
  #restored = Promise.resolve();

  connectedCallback() {
    if (this.firstChild !== null) return;
    this.#build();
    this.#listen(this.#leaving.signal);
    this.#restored = this.#bench.restore();
  }

  // What it is made of

  #build() {
    const open = () => this.#file.click();
    this.#empty.append(
      h("h1", {}, t("edit.title")),
      h("p", {}, t("edit.empty")),
      h("button", { type: "button", className: "primary", onclick: open }, icon("picture"), t("edit.open")),
      h("p", { className: "soft" }, t("edit.empty.hint")),
      h("h2", { className: "edit-recent-title", hidden: true }, t("edit.recent")),
      this.#recent,
    );
    const head = h(
      "div",
      { className: "edit-head" },
      h("h1", { className: "for-screen-readers" }, t("edit.title")),
      h("button", { type: "button", className: "small", onclick: open }, icon("picture"), t("edit.open.other")),
      h("button", { type: "button", className: "small", onclick: () => this.#save() }, icon("download"), t("edit.save")),
    );
    this.#desk.append(
      this.#toolbar,
      h("div", { className: "edit-stage" }, this.#canvas, this.#comparing, this.#progress),
      h("div", { className: "edit-foot" }, this.#strip, this.#status),
      h("div", { className: "edit-side card" }, head, this.#objects, this.#texts, this.#actions, this.#wrong),
    );
    this.replaceChildren(this.#empty, this.#desk, this.#busy, this.#file);
  }

  /** @param {AbortSignal} signal */
  #listen(signal) {
    /** @param {EventTarget} target @param {string} type @param {(detail: any) => unknown} act */
    const on = (target, type, act) => {
      target.addEventListener(type, (event) => void act(/** @type {CustomEvent} */ (event).detail), { signal });
    };
    on(this, "shown", ({ parameters }) => {
      this.#takeKeys();
      void this.#restored.then(() => this.#open(parameters));
    });
    on(this, "picture", (file) => this.#openFile(file));
    on(this.#file, "change", () => {
      const [file] = /** @type {HTMLInputElement} */ (this.#file).files ?? [];
      this.#file.value = "";
      if (file !== undefined) void this.#openFile(file);
    });

    on(this.#bench, "picture", () => this.#showPicture());
    on(this.#bench, "versions", () => this.#showVersions());
    on(this.#bench, "job", () => this.#showJob());
    on(this.#bench, "busy", () => this.#showBusy(""));

    on(this.#toolbar, "tool", (tool) => this.#take(tool));
    on(this.#toolbar, "brush", (px) => this.#setBrush(px));
    on(this.#toolbar, "command", (name) => this.#command(name));
    on(this.#canvas, "masked", () => this.#refresh());
    on(this.#canvas, "seen", () => this.#toolbar.showZoom(this.#canvas.viewport.zoom));
    on(this.#canvas, "pick", (point) => this.#pick(point));
    on(this.#canvas, "tick", (index) => this.#tick(index));
    on(this.#canvas, "sides", (sides) => {
      this.#actions.sides = sides;
    });
    on(this.#strip, "choose", (index) => this.#bench.choose(index));
    on(this.#progress, "cancel", () => this.#bench.cancel().catch((error) => app.notices.tell(error)));
    on(this.#progress, "left", () => this.#canvas.focus());
    on(this.#comparing, "change", () => this.#compare());

    on(this.#actions, "run", (wish) => this.#run(wish));
    on(this.#actions, "action", () => this.#showSides());
    on(this.#actions, "sides", (sides) => {
      this.#actions.sides = sides;
      this.#showSides();
    });
    on(this.#actions, "around", () => this.#addAround());
    on(this.#actions, "subject", () => this.#findSubject());

    on(this.#objects, "accept", () => this.#accept(1));
    on(this.#objects, "subtract", () => this.#accept(0));
    on(this.#objects, "discard", () => this.#forgetObject());
    on(this.#texts, "find", () => this.#findText());
    on(this.#texts, "tick", (index) => this.#tick(index));
    on(this.#texts, "remove", () => this.#run({ task: "remove_text", params: { regions: this.#ticked() } }));
    on(this.#texts, "mark", () => this.#markText());
    app.store.watch((state) => state.order, () => this.#showRecent(), { signal });
  }

  // Opening

  /** @param {URLSearchParams} parameters */
  async #open(parameters) {
    const ref = parameters.get("picture");
    const version = this.#bench.version;
    if (ref !== null) await this.#bench.openRef(ref);
    else if (version !== undefined) await this.#bench.choose(this.#bench.versions.current);
  }

  /** @param {File} file */
  async #openFile(file) {
    await this.#bench.openFile(file, (sent) => this.#showBusy(number(sent, { style: "percent", maximumFractionDigits: 0 })));
  }

  #showPicture() {
    const { picture, mask } = this.#bench;
    const isOther = picture !== this.#shown;
    const had = this.#shown;
    this.#shown = picture;
    this.#empty.hidden = true;
    this.#desk.hidden = false;
    if (isOther) {
      this.#forgetObject();
      this.#forgetText();
      this.#isComparing = false;
    }
    if (isOther && picture !== null && (picture.width !== had?.width || picture.height !== had.height)) {
      this.#actions.sides = NO_SIDES;
    }
    this.#showSides();
    this.#canvas.show(picture, mask);
    if (had === null && picture !== null) this.#setBrush(Math.max(4, Math.round(Math.max(picture.width, picture.height) * BRUSH_SHARE)));
    this.#tellWrong("");
    this.#compare();
    this.#showJob();
  }

  #showVersions() {
    this.#strip.show(this.#bench.versions, (version, image) => void this.#drawSmall(version, image));
    this.#refresh();
  }

  /**
   * @param {Version} version
   * @param {HTMLImageElement} image
   */
  async #drawSmall({ ref }, image) {
    try {
      const [kind, rest = ""] = ref.split(":", 2);
      const [id = "", index] = rest.split("/", 2);
      if (kind === "job") await app.pictures.show(image, id, Number(index), { maxSidePx: STRIP_PX });
      else {
        const picture = await this.#bench.load(ref);
        const canvas = new OffscreenCanvas(STRIP_PX, Math.max(1, Math.round((picture.height / picture.width) * STRIP_PX)));
        const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
        context.drawImage(/** @type {ImageBitmap} */ (picture.levels.at(-1)), 0, 0, canvas.width, canvas.height);
        image.src = URL.createObjectURL(await canvas.convertToBlob());
      }
    } catch (error) {
      // The picture has expired: its place stays empty, and choosing it says so.
      image.title = errorWords(error);
    }
  }

  #showRecent() {
    if (!this.#empty.isConnected || this.#empty.hidden) return;
    const pictures = [];
    for (const id of app.store.state.order) {
      const job = app.store.state.jobs.get(id)?.job;
      for (const output of job?.outputs ?? []) {
        if (output.media_type.startsWith("image/") && job !== undefined && !_isMask(job)) pictures.push({ id, index: output.index });
      }
      if (pictures.length >= RECENT) break;
    }
    /** @type {HTMLElement} */ (this.#recent.previousElementSibling).hidden = pictures.length === 0;
    this.#recent.replaceChildren(
      ...pictures.slice(0, RECENT).map(({ id, index }, place) => {
        const image = h("img", { alt: "", loading: "lazy" });
        void app.pictures.show(image, id, index, { maxSidePx: 256 }).catch(() => {});
        const open = () => app.router.go("edit", { picture: `job:${id}/${index}` });
        return h("li", {}, h("button", { type: "button", className: "quiet", onclick: open, "aria-label": t("edit.recent.one", { number: place + 1 }) }, image));
      }),
    );
  }

  async #save() {
    const { version } = this.#bench;
    if (version === undefined) return;
    try {
      const blob = await fetchPicture(version.ref, this.#leaving.signal);
      const url = URL.createObjectURL(blob);
      const suffix = blob.type.split("/")[1] ?? "png";
      h("a", { href: url, download: `${version.ref.replaceAll(/\W+/g, "-").slice(-14)}.${suffix}` }).click();
      URL.revokeObjectURL(url);
    } catch (error) {
      app.notices.tell(error);
    }
  }

  // Tools

  /** @param {Tool} tool */
  #take(tool) {
    this.#tool = tool;
    this.#canvas.tool = tool;
    this.#refresh();
    if (tool === "text" && this.#text.found === null && this.#text.asking === null) void this.#findText();
  }

  /** @param {number} px */
  #setBrush(px) {
    this.#brushPx = Math.min(1000, Math.max(1, Math.round(px)));
    this.#canvas.brushPx = this.#brushPx;
    this.#refresh();
  }

  /** @param {string} name */
  #command(name) {
    const canvas = this.#canvas;
    /** @type {Record<string, () => void>} */
    const commands = {
      undo: () => canvas.undo(),
      redo: () => canvas.redo(),
      invert: () => canvas.change((mask) => mask.invert()),
      clear: () => canvas.change((mask) => mask.cover(0)),
      grow: () => canvas.change((mask) => mask.grow(GROW_PX)),
      shrink: () => canvas.change((mask) => mask.grow(-GROW_PX)),
      closer: () => canvas.zoom(ZOOM_STEP),
      farther: () => canvas.zoom(1 / ZOOM_STEP),
      fit: () => canvas.fit(),
      actual: () => canvas.actualSize(),
      compare: () => {
        this.#isComparing = !this.#isComparing;
        this.#compare();
      },
    };
    commands[name]?.();
  }

  /** Keys that work while this view is looked at. */
  #takeKeys() {
    this.#away.abort();
    const away = new AbortController();
    this.#away = away;
    const leave = () => {
      if (app.router.place.view !== "edit") away.abort();
    };
    app.router.addEventListener("change", leave, { signal: away.signal });
    /** @param {string} keys @param {string} words @param {() => void} act */
    const key = (keys, words, act) => ({ keys, words, action: () => this.#shown !== null && act() });
    /** @param {string} keys @param {string} name */
    const command = (keys, name) => key(keys, `edit.${name}`, () => this.#command(name));
    /** @param {string} keys @param {Tool} tool */
    const tool = (keys, tool) => key(keys, `edit.tool.${tool}`, () => this.#take(tool));
    app.shortcuts.add(
      [
        tool("B", "brush"),
        tool("E", "eraser"),
        tool("R", "rectangle"),
        tool("O", "object"),
        tool("T", "text"),
        tool("H", "hand"),
        key("[", "edit.brush.smaller", () => this.#setBrush(Math.min(this.#brushPx - 1, this.#brushPx / BRUSH_STEP))),
        key("]", "edit.brush.larger", () => this.#setBrush(Math.max(this.#brushPx + 1, this.#brushPx * BRUSH_STEP))),
        command("Ctrl+Z", "undo"),
        command("Ctrl+Shift+Z", "redo"),
        command("Ctrl+Y", "redo"),
        command("I", "invert"),
        command("G", "grow"),
        command("S", "shrink"),
        command("Delete", "clear"),
        command("+", "closer"),
        command("-", "farther"),
        command("0", "fit"),
        command("1", "actual"),
        command("C", "compare"),
        key("Ctrl+Enter", "edit.run", () => this.#actions.run()),
        // These the canvas takes itself, while it has the focus.
        { keys: "←↑→↓", words: "edit.key.arrows" },
        { keys: "Shift+←↑→↓", words: "edit.key.move" },
        { keys: "Enter / Space", words: "edit.key.act" },
        { keys: "Esc", words: "edit.key.drop" },
      ],
      { signal: away.signal },
    );
  }

  #refresh() {
    const { mask, versions, version } = this.#bench;
    const hasMask = mask !== null && !mask.isEmpty;
    this.#toolbar.show({
      tool: this.#tool,
      brushPx: this.#brushPx,
      canUndo: mask?.history.canUndo ?? false,
      canRedo: mask?.history.canRedo ?? false,
      hasMask,
      canCompare: ancestors(versions, versions.current).length > 0,
      isComparing: this.#isComparing,
    });
    this.#actions.show({ isEmpty: !hasMask, isWorking: versions.pending !== null });
    this.#objects.hidden = this.#tool !== "object";
    this.#objects.show({ isLooking: this.#object.asking !== null, hasFound: this.#object.mask !== null, hasClicks: this.#object.points.length > 0 });
    this.#texts.hidden = this.#tool !== "text";
    this.#texts.show({ found: this.#text.found, isLooking: this.#text.asking !== null, isWorking: versions.pending !== null });
    if (version === undefined || mask === null) return;
    const share = mask.area / mask.pixels.length;
    const masked = !hasMask ? t("edit.masked.none") : t("edit.masked", { share: number(share, { style: "percent", maximumSignificantDigits: 2 }) });
    say(this.#status, t("edit.status", { width: number(version.width), height: number(version.height), masked }));
  }

  // Comparing

  #compare() {
    const { versions } = this.#bench;
    const all = ancestors(versions, versions.current);
    if (all.length === 0) this.#isComparing = false;
    const chosen = Number(this.#comparing.value || all[0]);
    const before = all.includes(chosen) ? chosen : all[0];
    this.#comparing.hidden = !this.#isComparing || all.length < 2;
    this.#comparing.replaceChildren(
      ...all.map((each) => h("option", { value: String(each), selected: each === before }, each === 0 ? t("edit.original") : t("edit.version", { number: each }))),
    );
    this.#refresh();
    if (!this.#isComparing || before === undefined) {
      this.#canvas.compare(null);
      return;
    }
    const { ref } = /** @type {Version} */ (versions.list[before]);
    this.#bench.load(ref).then(
      (picture) => {
        const isAsked = this.#isComparing && versions.current === this.#bench.versions.current;
        if (isAsked) this.#canvas.compare({ picture, place: placeOf(versions, versions.current, before) });
      },
      (error) => app.notices.tell(error),
    );
  }

  // Work

  /** @param {{task: string, params: Record<string, unknown>, sides?: import("../editing/viewport.js").Sides, withMask?: boolean}} wish */
  async #run({ task, params, sides, withMask }) {
    this.#tellWrong("");
    this.#isComparing = false;
    this.#compare();
    // On a phone the form is below the picture: there it could not be seen how it develops.
    this.#canvas.scrollIntoView({ block: "nearest" });
    try {
      const sent = withMask === true ? this.#bench.mask?.copy() : undefined;
      const isTaken = await this.#bench.run(task, params, { sides, withMask });
      // What was masked is done; undo brings it back. What was painted meanwhile is for the next time.
      if (isTaken && sent !== undefined) this.#canvas.change((mask) => mask.merge(sent, 0));
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      if (!this.#actions.complain(error)) this.#tellWrong(errorWords(error));
    }
  }

  #showJob() {
    const { job, versions } = this.#bench;
    const pending = versions.pending?.parent === versions.current ? versions.pending : null;
    this.#progress.show(job);
    this.#refresh();
    this.#showSides();
    const preview = pending === null ? undefined : job?.live.preview;
    if (pending === null || preview === undefined) {
      if (this.#previewUrl !== "") this.#showPreview("");
      return;
    }
    if (preview.bytes === this.#previewed) return;
    this.#previewed = preview.bytes;
    const url = URL.createObjectURL(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (preview.bytes)], { type: preview.mediaType }));
    const image = new Image();
    image.src = url;
    // Decoded before it is shown, so that nothing flickers; one that is no longer the newest is dropped.
    image.decode().then(
      () => (this.#previewed === preview.bytes ? this.#showPreview(url, pending.shown) : URL.revokeObjectURL(url)),
      () => URL.revokeObjectURL(url),
    );
  }

  /**
   * @param {string} url - empty for none.
   * @param {import("../editing/rect.js").Rect} [shown] - what it shows, in pixels of the picture.
   */
  #showPreview(url, shown) {
    const before = this.#previewUrl;
    this.#previewUrl = url;
    if (url === "") this.#previewed = null;
    this.#canvas.preview(url, shown, this.#bench.changedUrl);
    if (before !== "") URL.revokeObjectURL(before);
  }

  #showSides() {
    const { pending } = this.#bench.versions;
    const isOpen = this.#actions.action === "outpaint" && pending === null;
    this.#canvas.extend(isOpen ? this.#actions.sides : null);
  }

  #addAround() {
    const { version } = this.#bench;
    if (version === undefined) return;
    const part = (/** @type {number} */ side) => Math.max(8, Math.round((side * AROUND_SHARE) / 8) * 8);
    const { sides } = this.#actions;
    const across = part(version.width);
    const down = part(version.height);
    this.#actions.sides = { left: sides.left + across, top: sides.top + down, right: sides.right + across, bottom: sides.bottom + down };
    this.#showSides();
    this.#canvas.fit();
  }

  // Objects

  /** @param {{x: number, y: number, include: boolean}} point */
  async #pick(point) {
    const points = [...this.#object.points, point];
    this.#object.asking?.abort();
    this.#canvas.mark({ points });
    const asking = points.some((each) => each.include) ? new AbortController() : null;
    this.#object = { ...this.#object, points, asking };
    this.#refresh();
    if (asking !== null) await this.#propose("segment", { points }, asking);
  }

  async #findSubject() {
    this.#forgetObject();
    this.#take("object");
    const asking = new AbortController();
    this.#object = { ...this.#object, asking };
    this.#refresh();
    await this.#propose("remove_background", { result: "mask" }, asking);
  }

  /**
   * @param {string} task
   * @param {Record<string, unknown>} params
   * @param {AbortController} asking
   */
  async #propose(task, params, asking) {
    try {
      const { mask } = await this.#bench.find(task, params, asking.signal);
      if (asking.signal.aborted) return;
      this.#object = { ...this.#object, mask, asking: null };
      this.#canvas.propose(mask);
      app.notices.announce(t("edit.object.found"));
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#object = { ...this.#object, asking: null };
      app.notices.tell(error);
    }
    this.#refresh();
  }

  /** @param {0 | 1} value */
  #accept(value) {
    const { mask: found } = this.#object;
    if (found !== null) this.#canvas.change((mask) => mask.merge(found, value));
    this.#forgetObject();
    this.#canvas.focus();
  }

  #forgetObject() {
    this.#object.asking?.abort();
    this.#object = { points: [], mask: null, asking: null };
    this.#canvas.mark({ points: [] });
    this.#canvas.propose(null);
    this.#refresh();
  }

  // Writing

  async #findText() {
    this.#forgetText();
    const asking = new AbortController();
    this.#text = { found: null, mask: null, asking };
    this.#refresh();
    try {
      const { mask, data } = await this.#bench.find("remove_text", { result: "mask" }, asking.signal);
      if (asking.signal.aborted) return;
      const found = data.regions.map((/** @type {any} */ { x, y, width, height, text }) => ({ x, y, width, height, text, isTicked: false }));
      this.#text = { found, mask, asking: null };
      app.notices.announce(found.length === 0 ? t("edit.text.none") : t("edit.text.some", { count: found.length }));
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#text = { ...this.#text, asking: null };
      app.notices.tell(error);
    }
    this.#showText();
  }

  /** @param {number} index */
  #tick(index) {
    const found = (this.#text.found ?? []).map((each, place) => (place === index ? { ...each, isTicked: !each.isTicked } : each));
    this.#text = { ...this.#text, found };
    this.#showText();
  }

  #ticked() {
    return (this.#text.found ?? []).filter((each) => each.isTicked).map(({ x, y, width, height }) => ({ x, y, width, height }));
  }

  #markText() {
    const { mask: found } = this.#text;
    if (found !== null) this.#canvas.change((mask) => mask.merge(found, 1, this.#ticked()));
  }

  #forgetText() {
    this.#text.asking?.abort();
    this.#text = { found: null, mask: null, asking: null };
    this.#showText();
  }

  #showText() {
    this.#canvas.mark({ boxes: this.#text.found ?? [] });
    this.#refresh();
  }

  // What is going on

  /** @param {string} sent - how much of a file, in per cent; empty if nobody knows. */
  #showBusy(sent) {
    this.#busy.hidden = !this.#bench.isBusy;
    if (this.#bench.isBusy) say(this.#busy, sent === "" ? t("edit.opening") : t("edit.sending", { sent }));
    if (!this.#bench.isBusy && this.#bench.version === undefined) this.#showRecent();
  }

  /** @param {string} words - empty for nothing. */
  #tellWrong(words) {
    this.#wrong.hidden = words === "";
    say(this.#wrong, words);
  }
}

/**
 * @param {import("../client/index.js").JobSnapshot} job
 * @returns {boolean} whether its pictures are masks.
 */
function _isMask({ task, params }) {
  return task === "segment" || task === "adjust_mask" || /** @type {{result?: unknown}} */ (params).result === "mask";
}

customElements.define("sl-edit-view", EditView);
