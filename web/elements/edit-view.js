/** The view edit: a picture, a mask painted on it, what is made of them, and the versions that come of it. */

import { app } from "../app.js";
import { h, say } from "../dom.js";
import { saveOutput } from "../downloads.js";
import { editKeys } from "../editing/edit-keys.js";
import { ancestors, placeOf } from "../editing/versions.js";
import { NO_SIDES } from "../editing/viewport.js";
import { Workbench } from "../editing/workbench.js";
import { icon } from "../icons.js";
import { previewUrl } from "../preview-url.js";
import { address } from "../router.js";
import { errorWords, number, t } from "../words/words.js";
import { EditActions } from "./edit-actions.js";
import { EditProgress } from "./edit-progress.js";
import { EditToolbar } from "./edit-toolbar.js";
import { MaskCanvas } from "./mask-canvas.js";
import { ObjectFinder } from "./object-finder.js";
import { RecentPictures } from "./recent-pictures.js";
import { TextFinder } from "./text-finder.js";
import { VersionStrip } from "./version-strip.js";

/**
 * @typedef {import("../editing/mask-tools.js").Tool} Tool
 * @typedef {import("../editing/picture.js").Picture} Picture
 * @typedef {import("../editing/versions.js").Version} Version
 * @typedef {import("./edit-actions.js").Wish} Wish
 */

const ZOOM_STEP = 1.25;
const GROW_PX = 4;
const MOST_BRUSH_PX = 1000;
/** A brush to begin with, as a share of the longer side. */
const BRUSH_SHARE = 0.05;
const STRIP_PX = 144;

export class EditView extends HTMLElement {
  #leaving = new AbortController();
  #away = new AbortController();
  #bench = new Workbench(this.#leaving.signal);
  #canvas = new MaskCanvas();
  #toolbar = new EditToolbar();
  #actions = new EditActions();
  #strip = new VersionStrip();
  #progress = new EditProgress();
  #objects = new ObjectFinder(this.#bench, this.#canvas);
  #texts = new TextFinder(this.#bench, this.#canvas);
  #file = h("input", { type: "file", accept: "image/*", hidden: true, tabIndex: -1, "aria-label": t("edit.open") });
  #empty = h("section", { className: "edit-empty" });
  #desk = h("div", { className: "edit-bench", hidden: true });
  #status = h("p", { className: "soft numbers", role: "status" });
  #saving = h("button", { type: "button", className: "small" }, icon("download"), t("edit.save"));
  #details = h("a", { className: "edit-details", hidden: true }, t("edit.details"));
  #comparing = h("select", { "aria-label": t("edit.compare.with"), hidden: true, className: "edit-compare-with" });
  #busy = h("p", { className: "edit-busy", hidden: true, role: "status" });
  #wrong = h("p", { className: "edit-wrong", role: "alert", hidden: true });

  /** @type {Tool} */
  #tool = "brush";
  #brushPx = 40;
  #isComparing = false;
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
      new RecentPictures(),
    );
    const head = h(
      "div",
      { className: "edit-head" },
      h("h1", { className: "for-screen-readers" }, t("edit.title")),
      h("button", { type: "button", className: "small", onclick: open }, icon("picture"), t("edit.open.other")),
      this.#saving,
    );
    this.#desk.append(
      this.#toolbar,
      h("div", { className: "edit-stage" }, this.#canvas, this.#comparing, this.#progress),
      h("div", { className: "edit-foot" }, this.#strip, h("div", { className: "edit-told" }, this.#status, this.#details)),
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
    on(this.#bench, "busy", () => this.#showBusy(t("edit.opening")));

    on(this.#toolbar, "tool", (tool) => this.#take(tool));
    on(this.#toolbar, "brush", (px) => this.#setBrush(px));
    on(this.#toolbar, "command", (name) => this.#command(name));
    on(this.#toolbar, "pointed", () => this.#canvas.focus({ preventScroll: true }));
    on(this.#canvas, "masked", () => this.#refresh());
    on(this.#canvas, "seen", () => this.#toolbar.showZoom(this.#canvas.viewport.zoom));
    on(this.#canvas, "pick", (click) => this.#objects.add(click));
    on(this.#canvas, "tick", (index) => this.#texts.tick(index));
    on(this.#canvas, "sides", (sides) => {
      this.#actions.sides = sides;
    });
    on(this.#saving, "click", () => this.#save());
    on(this.#strip, "choose", (index) => this.#bench.choose(index));
    on(this.#progress, "cancel", () => this.#bench.cancel().catch((error) => app.notices.tell(error)));
    on(this.#progress, "left", () => this.#canvas.focus());
    on(this.#comparing, "change", () => this.#compare());

    on(this.#actions, "run", (wish) => this.#run(wish));
    on(this.#actions, "action", () => this.#showSides());
    on(this.#actions, "sides", () => {
      this.#showSides();
      this.#canvas.fit();
    });
    on(this.#actions, "subject", () => {
      this.#take("object");
      return this.#objects.findSubject();
    });
    app.store.watch(
      (state) => state.connection.phase === "open",
      // It could not be had before, for want of a server or a key.
      (isOpen) => {
        const isMissing = this.#shown === null && !this.#bench.isBusy && app.router.place.view === "edit";
        if (isOpen && isMissing) void this.#restored.then(() => this.#open(app.router.place.parameters));
      },
      { signal },
    );
    on(this.#texts, "remove", (regions) => this.#run({ task: "remove_text", params: { regions } }));
  }

  // Opening

  /** @param {URLSearchParams} parameters */
  async #open(parameters) {
    const ref = parameters.get("picture");
    if (ref !== null) await this.#bench.openRef(ref);
    else await this.#bench.choose(this.#bench.versions.current);
  }

  /** @param {File} file */
  async #openFile(file) {
    await this.#bench.openFile(file, (sent) => {
      this.#showBusy(t("edit.sending", { sent: number(sent, { style: "percent", maximumFractionDigits: 0 }) }));
    });
  }

  #showPicture() {
    const { picture, mask } = this.#bench;
    const had = this.#shown;
    this.#shown = picture;
    this.#empty.hidden = true;
    this.#desk.hidden = false;
    if (picture !== had) {
      this.#objects.forget();
      this.#texts.forget();
      this.#isComparing = false;
    }
    if (picture !== null && (picture.width !== had?.width || picture.height !== had.height)) this.#actions.picture = picture;
    this.#showSides();
    this.#canvas.show(picture, mask);
    if (had === null && picture !== null) this.#setBrush(Math.max(4, Math.max(picture.width, picture.height) * BRUSH_SHARE));
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
        const url = URL.createObjectURL(await (await this.#bench.load(ref)).small(STRIP_PX));
        image.onload = () => URL.revokeObjectURL(url);
        image.src = url;
      }
    } catch (error) {
      // It has expired: its place stays empty, and choosing it says so.
      image.title = errorWords(error);
    }
  }

  async #save() {
    const [, id = "", index] = (this.#bench.version?.ref ?? "").split(/[:/]/);
    try {
      const job = app.store.state.jobs.get(id)?.job ?? (await app.client.api.job(id));
      const output = job.outputs.find((each) => each.index === Number(index));
      if (output !== undefined) await saveOutput(job, output);
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
    if (tool === "text") void this.#texts.begin();
  }

  /** @param {number} px */
  #setBrush(px) {
    this.#brushPx = Math.min(MOST_BRUSH_PX, Math.max(1, Math.round(px)));
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

  /** Have keys that work while this view is looked at. */
  #takeKeys() {
    this.#away.abort();
    const away = new AbortController();
    this.#away = away;
    const { signal } = away;
    app.router.addEventListener("change", () => app.router.place.view !== "edit" && away.abort(), { signal });
    const keys = editKeys({
      tool: (tool) => this.#shown !== null && this.#take(tool),
      command: (name) => this.#shown !== null && this.#command(name),
      brush: (times) => this.#setBrush(times > 1 ? Math.max(this.#brushPx + 1, this.#brushPx * times) : Math.min(this.#brushPx - 1, this.#brushPx * times)),
      run: () => this.#actions.run(),
    });
    app.shortcuts.add(keys, { signal });
  }

  #refresh() {
    const { mask, versions, version } = this.#bench;
    const hasMask = mask !== null && !mask.isEmpty;
    const isWorking = versions.pending !== null;
    this.#toolbar.show({
      tool: this.#tool,
      brushPx: this.#brushPx,
      canUndo: mask?.history.canUndo ?? false,
      canRedo: mask?.history.canRedo ?? false,
      hasMask,
      canCompare: ancestors(versions, versions.current).length > 0,
      isComparing: this.#isComparing,
    });
    this.#actions.show({ isEmpty: !hasMask, isWorking });
    this.#objects.hidden = this.#tool !== "object" && !this.#objects.isBusy;
    this.#texts.hidden = this.#tool !== "text";
    this.#texts.isWorking = isWorking;
    if (version === undefined || mask === null) return;
    const [kind, job = ""] = version.ref.split(/[:/]/);
    this.#details.hidden = kind !== "job";
    // What was sent is where it came from.
    this.#saving.disabled = kind !== "job";
    this.#details.href = address("history", { job });
    const share = number(mask.area / mask.pixels.length, { style: "percent", maximumSignificantDigits: 2 });
    const masked = hasMask ? t("edit.masked", { share }) : t("edit.masked.none");
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

  /** @param {Wish} wish */
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
    // One that is no longer the newest once it is decoded is dropped.
    previewUrl(preview).then(
      (url) => (this.#previewed === preview.bytes ? this.#showPreview(url, pending.shown) : URL.revokeObjectURL(url)),
      () => {},
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
    const isOpen = this.#actions.action === "outpaint" && this.#bench.versions.pending === null;
    this.#canvas.extend(isOpen ? this.#actions.sides : null);
  }

  // What is going on

  /** @param {string} words */
  #showBusy(words) {
    this.#busy.hidden = !this.#bench.isBusy;
    if (this.#bench.isBusy) say(this.#busy, words);
  }

  /** @param {string} words - empty for nothing. */
  #tellWrong(words) {
    this.#wrong.hidden = words === "";
    say(this.#wrong, words);
  }
}

customElements.define("sl-edit-view", EditView);
