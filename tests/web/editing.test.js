/** What the view Edit works with, without a browser: masks, their history and files, viewports and versions. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateSync } from "node:zlib";

import { areaAround } from "../../web/editing/area.js";
import { writeMask } from "../../web/editing/mask-file.js";
import { Mask } from "../../web/editing/mask.js";
import { around, between, contains, shared } from "../../web/editing/rect.js";
import { ancestors, NO_VERSIONS, numberOf, opened, placeOf, resultOf, withResult } from "../../web/editing/versions.js";
import { CLOSEST, fitted, inSight, moved, toPicture, toScreen, zoomedAt } from "../../web/editing/viewport.js";

const NO_SIDES = { left: 0, top: 0, right: 0, bottom: 0 };

function rows({ width, height, pixels }) {
  return Array.from({ length: height }, (_, y) => [...pixels.subarray(y * width, (y + 1) * width)].map((each) => "·#"[each]).join(""));
}

function close(one, other) {
  for (const name of Object.keys(other)) assert.ok(Math.abs(one[name] - other[name]) < 1e-9, `${name}: ${one[name]}, not ${other[name]}`);
}

test("a stroke covers every pixel whose middle is within its radius, and no other", () => {
  const lots = [[20, 20, 40, 33, 7], [5, 40, 5, 2, 3.5], [-4, -3, 30, 12, 9], [25, 25, 25, 25, 12.3], [60, 10, 61, 10, 0.2]];
  for (const [x0, y0, x1, y1, radius] of lots) {
    const mask = new Mask(64, 48);
    mask.line({ x: x0, y: y0 }, { x: x1, y: y1 }, radius, 1);
    const length = Math.max(1e-9, (x1 - x0) ** 2 + (y1 - y0) ** 2);
    for (let y = 0; y < 48; y += 1) {
      for (let x = 0; x < 64; x += 1) {
        const along = Math.min(1, Math.max(0, ((x + 0.5 - x0) * (x1 - x0) + (y + 0.5 - y0) * (y1 - y0)) / length));
        const far = Math.hypot(x + 0.5 - x0 - along * (x1 - x0), y + 0.5 - y0 - along * (y1 - y0));
        const reach = Math.max(0.71, radius);
        if (Math.abs(far - reach) > 1e-9) assert.equal(mask.pixels[y * 64 + x], far < reach ? 1 : 0, `${x}, ${y} of ${[x0, y0, x1, y1, radius]}`);
      }
    }
  }
});

test("a change tells the rectangle that has changed, and nothing outside it does", () => {
  const mask = new Mask(300, 300);
  const rect = mask.line({ x: 100, y: 120 }, { x: 140, y: 90 }, 8, 1);
  const { x, y, width, height } = mask.box;
  assert.deepEqual(shared(rect, { x, y, width, height }), { x, y, width, height });
  assert.ok(rect.width * rect.height < 70 * 60);
  assert.equal(mask.line({ x: 500, y: 500 }, { x: 600, y: 500 }, 8, 1), null);
});

test("a mask grows by a disc and shrinks back, and the picture's edge is no edge of it", () => {
  const mask = new Mask(9, 7);
  mask.rectangle({ x: 4, y: 3, width: 1, height: 1 }, 1);
  mask.grow(2);
  assert.deepEqual(rows(mask), ["·········", "····#····", "···###···", "··#####··", "···###···", "····#····", "·········"]);
  mask.grow(-2);
  assert.equal(mask.area, 1);
  mask.cover(1);
  mask.grow(-3);
  assert.equal(mask.area, 63);
});

test("inverting turns every pixel, also where their number is no multiple of four", () => {
  const mask = new Mask(7, 3);
  mask.rectangle({ x: 5, y: 1, width: 9, height: 9 }, 1);
  mask.invert();
  assert.deepEqual(rows(mask), ["#######", "#####··", "#####··"]);
  assert.equal(mask.area, 17);
});

test("what another mask covers is added and taken away, in the given parts alone", () => {
  const found = new Mask(6, 2);
  found.cover(1);
  const mask = new Mask(6, 2);
  const touched = mask.merge(found, 1, [{ x: 0, y: 0, width: 2, height: 1 }, { x: 4, y: 1, width: 5, height: 5 }]);
  assert.deepEqual(rows(mask), ["##····", "····##"]);
  assert.deepEqual(touched, { x: 0, y: 0, width: 6, height: 2 });
  mask.merge(found, 0, [{ x: 0, y: 0, width: 1, height: 1 }]);
  assert.deepEqual(rows(mask), ["·#····", "····##"]);
});

test("changes are undone and redone exactly, over any number of tiles", () => {
  const mask = new Mask(700, 600);
  const states = [mask.pixels.slice()];
  const changes = [
    () => mask.line({ x: 10, y: 10 }, { x: 690, y: 590 }, 30, 1),
    () => mask.rectangle({ x: 200, y: 200, width: 300, height: 300 }, 0),
    () => mask.invert(),
    () => mask.grow(3),
  ];
  for (const change of changes) {
    mask.history.begin();
    change();
    mask.history.commit();
    states.push(mask.pixels.slice());
  }
  for (let index = states.length - 2; index >= 0; index -= 1) {
    assert.notEqual(mask.history.undo(), null);
    assert.deepEqual(mask.pixels, states[index]);
  }
  assert.equal(mask.history.undo(), null);
  for (const state of states.slice(1)) {
    mask.history.redo();
    assert.deepEqual(mask.pixels, state);
  }
  assert.equal(mask.area, mask.pixels.reduce((sum, each) => sum + each, 0));
});

test("a new change forgets what was undone, and one that is dropped leaves nothing behind", () => {
  const mask = new Mask(20, 20);
  const paint = (x) => {
    mask.history.begin();
    mask.rectangle({ x, y: 0, width: 2, height: 2 }, 1);
  };
  paint(0);
  mask.history.commit();
  mask.history.undo();
  paint(4);
  assert.deepEqual(mask.history.rollback(), { x: 0, y: 0, width: 20, height: 20 });
  assert.ok(mask.isEmpty);
  assert.ok(mask.history.canRedo);
  paint(8);
  mask.history.commit();
  assert.ok(!mask.history.canRedo);
  mask.history.begin();
  mask.history.commit();
  mask.history.undo();
  assert.ok(mask.isEmpty && !mask.history.canUndo);
});

test("a mask is written as a PNG of one bit a pixel", async () => {
  const mask = new Mask(11, 2);
  mask.rectangle({ x: 7, y: 0, width: 3, height: 1 }, 1);
  mask.rectangle({ x: 0, y: 1, width: 1, height: 1 }, 1);
  const file = Buffer.from(await (await writeMask(mask)).arrayBuffer());
  assert.equal(file.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n");
  assert.deepEqual([file.readUInt32BE(16), file.readUInt32BE(20), file[24], file[25]], [11, 2, 1, 0]);
  const data = file.subarray(41, 41 + file.readUInt32BE(33));
  assert.deepEqual([...inflateSync(data)], [0, 0b00000001, 0b11000000, 0, 0b10000000, 0]);
});

test("zooming keeps the point of the picture that is under the cursor", () => {
  let viewport = fitted({ width: 4000, height: 3000 }, { width: 1100, height: 650 });
  const at = { x: 300, y: 200 };
  const before = toPicture(viewport, at);
  for (const factor of [1.5, 3, 0.4, 1.1]) {
    viewport = zoomedAt(viewport, factor, at, 0.01);
    close(toPicture(viewport, at), before);
    close(toScreen(viewport, before), at);
  }
  assert.equal(zoomedAt(viewport, 1e6, at, 0.01).zoom, CLOSEST);
  assert.equal(zoomedAt(viewport, 1e-6, at, 0.01).zoom, 0.01);
});

test("all of a picture is seen in the middle, with what is to be added to it", () => {
  const view = { width: 1000, height: 600 };
  const { zoom, x, y } = fitted({ width: 400, height: 400 }, view, { margin: 50, sides: { left: 100, top: 0, right: 500, bottom: 0 } });
  assert.equal(zoom, 0.9);
  close({ x, y }, { x: 50 + 90, y: 300 - 180 });
  assert.equal(fitted({ width: 64, height: 64 }, view).zoom, 3, "a small picture is not blown up without end");
});

test("a picture cannot be moved out of sight", () => {
  const picture = { width: 100, height: 100 };
  const view = { width: 500, height: 400 };
  for (const [dx, dy] of [[9000, 0], [-9000, 0], [0, 9000], [0, -9000]]) {
    const { zoom, x, y } = inSight(moved({ zoom: 2, x: 0, y: 0 }, dx, dy), picture, view);
    assert.ok(x + 200 * (zoom / 2) >= 48 && x <= 500 - 48, `x ${x}`);
    assert.ok(y + 200 * (zoom / 2) >= 48 && y <= 400 - 48, `y ${y}`);
  }
});

test("rectangles are joined, cut and drawn between any two corners", () => {
  const one = { x: 0, y: 0, width: 4, height: 4 };
  assert.deepEqual(around(one, { x: 6, y: -2, width: 1, height: 1 }), { x: 0, y: -2, width: 7, height: 6 });
  assert.deepEqual(around(null, one), one);
  assert.equal(shared(one, { x: 4, y: 0, width: 4, height: 4 }), null);
  assert.deepEqual(between({ x: 5.2, y: 3.9 }, { x: 2.5, y: 3.1 }), { x: 2, y: 3, width: 4, height: 1 });
  assert.ok(contains(one, { x: 3.9, y: 0 }) && !contains(one, { x: 4, y: 0 }));
});

test("the part that a model is shown has a margin, and is no flatter than one to two", () => {
  const picture = { width: 640, height: 427 };
  assert.deepEqual(areaAround({ x: 100, y: 80, width: 40, height: 30 }, picture), { x: 68, y: 48, width: 104, height: 94 });
  assert.deepEqual(areaAround({ x: 0, y: 0, width: 10, height: 10 }, picture), { x: 0, y: 0, width: 42, height: 42 });
  const flat = areaAround({ x: 100, y: 200, width: 400, height: 2 }, picture);
  assert.deepEqual({ x: flat.x, width: flat.width }, { x: 68, width: 464 });
  assert.equal(flat.height, 232);
});

test("versions know what they were made of, and where that is in them", () => {
  let versions = opened({ ref: "upload:1", width: 100, height: 80 });
  const pending = (task, sides, parent) => ({ jobId: "a", task, parent, sides, shown: { x: 0, y: 0, width: 1, height: 1 } });
  const make = (task, parent, width, height, sides = NO_SIDES) => {
    const result = resultOf(pending(task, sides, parent), versions.list[parent], { ref: `job:${versions.list.length}/0`, width, height });
    versions = withResult(versions, result);
  };
  make("outpaint", 0, 150, 80, { ...NO_SIDES, left: 50 });
  make("upscale", 1, 300, 160);
  make("erase", 0, 100, 80);
  assert.equal(versions.current, 3);
  assert.deepEqual(ancestors(versions, 2), [1, 0]);
  assert.deepEqual(ancestors(versions, 3), [0]);
  assert.deepEqual(placeOf(versions, 1, 0), { x: 50, y: 0, width: 100, height: 80 });
  assert.deepEqual(placeOf(versions, 2, 0), { x: 100, y: 0, width: 200, height: 160 });
  assert.equal(numberOf(versions, "job:2/0"), 2);
  assert.equal(numberOf(versions, "job:9/0"), -1);
  assert.deepEqual(NO_VERSIONS.list, []);
});
