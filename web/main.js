/** The start of the page. */

import { announceJobs } from "./announcing.js";
import { app } from "./app.js";
import { Safelight } from "./client/index.js";
import { takeDrops } from "./drops.js";
import { Notices } from "./notices.js";
import { Pictures } from "./pictures.js";
import { Router } from "./router.js";
import { savedKey } from "./saved-key.js";
import { Shortcuts } from "./shortcuts.js";
import { Store } from "./store.js";
import { applyTheme } from "./theme.js";
import { fill, language } from "./words/words.js";

const VIEWS = ["make", "edit", "history", "models"];

const page = new AbortController();
const { signal } = page;

app.client = new Safelight({ key: savedKey(), waitForKey: true });
app.store = new Store(app.client);
app.router = new Router(VIEWS);
app.pictures = new Pictures(app.client);
app.shortcuts = new Shortcuts();
app.notices = new Notices();

applyTheme();
document.documentElement.lang = language;
fill(document);

// After `app` is there: these modules define elements that stand in the document already.
await Promise.all([
  import("./elements/connection-state.js"),
  import("./elements/settings-menu.js"),
  import("./elements/notice-list.js"),
  import("./elements/key-dialog.js"),
  import("./elements/shortcut-help.js"),
  ...VIEWS.map((view) => import(`./elements/${view}-view.js`)),
]);

const frame = /** @type {HTMLElement} */ (document.getElementById("view"));
/** @type {Map<string, HTMLElement>} */
const views = new Map();

/** Views are made once and kept: what somebody has typed or painted stays while they look elsewhere. */
function show() {
  const { view } = app.router.place;
  const element = views.get(view) ?? document.createElement(`sl-${view}-view`);
  views.set(view, element);
  if (!element.isConnected) frame.append(element);
  for (const child of frame.children) {
    /** @type {HTMLElement} */ (child).hidden = child !== element;
    if (child === element) continue;
    // An open dialog in a view that is not shown would keep the whole page from being used.
    for (const dialog of child.querySelectorAll("dialog")) if (dialog.open) dialog.close();
  }
  for (const link of document.querySelectorAll(".shell-nav a")) {
    if (link.getAttribute("href") === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  element.dispatchEvent(new CustomEvent("shown", { detail: app.router.place }));
}

frame.replaceChildren();
app.router.addEventListener("change", show, { signal });
show();
takeDrops(() => views.get(app.router.place.view) ?? null);
announceJobs(signal);
app.shortcuts.add(
  VIEWS.map((view, number) => ({ keys: `Alt+${number + 1}`, words: `shortcuts.${view}`, action: () => app.router.go(view) })),
  { signal },
);
document.documentElement.dataset.ready = "";

app.store.follow(signal).catch((error) => app.notices.tell(error));
