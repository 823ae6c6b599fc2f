/** English, gathered from the views. */

import { edit } from "./en/edit.js";
import { history } from "./en/history.js";
import { make } from "./en/make.js";
import { models } from "./en/models.js";
import { shell } from "./en/shell.js";

export const en = { ...shell, ...make, ...edit, ...history, ...models };
