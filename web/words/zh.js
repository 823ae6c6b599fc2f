/** Chinese, gathered from the views. */

import { edit } from "./zh/edit.js";
import { history } from "./zh/history.js";
import { make } from "./zh/make.js";
import { models } from "./zh/models.js";
import { shell } from "./zh/shell.js";

export const zh = { ...shell, ...make, ...edit, ...history, ...models };
