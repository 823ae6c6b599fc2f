/** What every element may reach: the client, what is known, where we are. `main.js` fills it before it makes any element. */

/**
 * @typedef {object} App
 * @property {import("./client/index.js").Safelight} client
 * @property {import("./store.js").Store} store
 * @property {import("./router.js").Router} router
 * @property {import("./pictures.js").Pictures} pictures
 * @property {import("./shortcuts.js").Shortcuts} shortcuts
 * @property {import("./notices.js").Notices} notices
 */

/** @type {App} */
export const app = /** @type {any} */ ({});
