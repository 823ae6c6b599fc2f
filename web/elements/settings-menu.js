/** Language, colours, keyboard and key: what is set once. */

import { app } from "../app.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { nextTheme, theme } from "../theme.js";
import { chooseLanguage, language, t } from "../words/words.js";

const SIGNS = /** @type {const} */ ({ system: "half", light: "sun", dark: "moon" });

export class SettingsMenu extends HTMLElement {
  connectedCallback() {
    const colours = h("button", { type: "button", className: "quiet icon" });
    const show = () => {
      const name = t("settings.theme", { theme: t(`settings.theme.${theme()}`) });
      colours.replaceChildren(icon(SIGNS[theme()]));
      colours.setAttribute("aria-label", name);
      colours.title = name;
    };
    colours.onclick = () => {
      nextTheme();
      show();
    };
    show();
    const other = language === "en" ? "zh" : "en";
    this.replaceChildren(
      h(
        "button",
        {
          type: "button",
          className: "quiet",
          lang: other,
          title: t("settings.language.name"),
          onclick: () => chooseLanguage(other),
        },
        t("settings.language"),
      ),
      colours,
      _button("keyboard", t("settings.shortcuts"), () => _ask("sl-shortcut-help")),
      _button("key", t("settings.key"), () => _ask("sl-key-dialog")),
    );
  }
}

/**
 * @param {Parameters<typeof icon>[0]} sign
 * @param {string} name
 * @param {() => void} act
 */
function _button(sign, name, act) {
  return h("button", { type: "button", className: "quiet icon", "aria-label": name, title: name, onclick: act }, icon(sign));
}

/** @param {string} element */
function _ask(element) {
  document.querySelector(element)?.dispatchEvent(new Event("ask"));
}

customElements.define("sl-settings-menu", SettingsMenu);
