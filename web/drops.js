/** A picture dropped anywhere on the page, or pasted into it, goes to the view that is shown. */

import { h } from "./dom.js";
import { t } from "./words/words.js";

/**
 * Listen for files. The view that is shown gets an event `picture` with the file as its `detail`.
 *
 * @param {() => Element | null} shown - the view.
 */
export function takeDrops(shown) {
  const target = h("div", { className: "drop-target", hidden: true }, t("shell.drop"));
  document.body.append(target);
  let depth = 0;
  const give = (/** @type {DataTransfer | null} */ data) => {
    const file = [...(data?.files ?? [])].find((each) => each.type.startsWith("image/"));
    if (file !== undefined) shown()?.dispatchEvent(new CustomEvent("picture", { detail: file }));
    return file !== undefined;
  };
  addEventListener("dragenter", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    depth += 1;
    target.hidden = false;
  });
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    target.hidden = depth === 0;
  });
  addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    depth = 0;
    target.hidden = true;
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    give(event.dataTransfer);
  });
  addEventListener("paste", (event) => {
    if (give(event.clipboardData)) event.preventDefault();
  });
}
