/** Has the server fetch a model file from an address. Event `changed` when it has begun. */

import { app } from "../app.js";
import { SafelightError } from "../client/index.js";
import { h, uniqueId } from "../dom.js";
import { errorWords, t } from "../words/words.js";

const KINDS = ["checkpoint", "lora", "vae", "controlnet", "brushnet", "ip_adapter", "image_encoder", "upscaler", "embedding", "preview_decoder", "eraser"];

export class ModelDownload extends HTMLElement {
  connectedCallback() {
    if (this.childElementCount > 0) return;
    const url = h("input", { type: "url", name: "url", required: true, placeholder: "https://", autocomplete: "off", spellcheck: false });
    const kind = h("select", { name: "kind", required: true }, ...KINDS.map((each) => h("option", { value: each }, t(`models.kindOne.${each}`))));
    const name = h("input", { name: "name", maxLength: 200, autocomplete: "off", spellcheck: false });
    const sha256 = h("input", { name: "sha256", pattern: "[0-9A-Fa-f]{64}", autocomplete: "off", spellcheck: false });
    const problem = h("p", { className: "model-problem", role: "alert", hidden: true });
    const begin = h("button", { className: "primary" }, t("models.download"));
    const fields = { url, kind, name, sha256 };
    const form = h(
      "form",
      { className: "model-form" },
      _field(url, "models.url", "models.urlHelp"),
      _field(kind, "models.kind"),
      _field(name, "models.name", "models.nameHelp"),
      _field(sha256, "models.sha256", "models.sha256Help"),
      problem,
      h("div", { className: "row" }, begin),
    );
    form.addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      problem.hidden = true;
      for (const each of Object.values(fields)) each.removeAttribute("aria-invalid");
      begin.disabled = true;
      try {
        await app.client.api.downloadModel({
          url: url.value.trim(),
          kind: kind.value,
          ...(name.value.trim() === "" ? {} : { name: name.value.trim() }),
          ...(sha256.value.trim() === "" ? {} : { sha256: sha256.value.trim() }),
        });
        form.reset();
        folded.open = false;
        app.notices.show({ kind: "good", text: t("models.downloading") });
        this.dispatchEvent(new CustomEvent("changed", { bubbles: true }));
      } catch (error) {
        problem.textContent = errorWords(error);
        problem.hidden = false;
        const at = error instanceof SafelightError ? error.field?.replace(/^\$\./, "") : undefined;
        const field = at === undefined ? undefined : fields[/** @type {keyof typeof fields} */ (at)];
        field?.setAttribute("aria-invalid", "true");
        (field ?? url).focus();
      } finally {
        begin.disabled = false;
      }
    });
    const folded = h("details", { className: "card model-download" }, h("summary", {}, t("models.add")), form);
    this.append(folded);
  }
}

/**
 * @param {HTMLElement} field
 * @param {string} words
 * @param {string} [help]
 */
function _field(field, words, help) {
  field.id = uniqueId("model");
  const helpId = `${field.id}-help`;
  if (help !== undefined) field.setAttribute("aria-describedby", helpId);
  return h(
    "div",
    { className: "field" },
    h("label", { for: field.id }, t(words)),
    field,
    help && h("p", { id: helpId, className: "field-help" }, t(help)),
  );
}

customElements.define("sl-model-download", ModelDownload);
