// A file input that shows the chosen image, takes one that is dropped or pasted, and refuses what the
// server would refuse.
//
// The package's modules import nothing from each other, so that each has the address that the static
// storage gives it. They meet at the elements. Events: "django-async-forms:connected" (detail: {root}), and
// "django-async-forms:chosen" (detail: {file}) of a file that is not refused, or of none.

const RECEIVED = ["dragover", "dragleave", "drop", "paste"];

// What browsers and scripts write for a type that they do not know, for JPEG, and for a PNG that moves.
/** @type {Record<string, string>} */
const KNOWN_AS = {
  "application/octet-stream": "", "image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/apng": "image/png",
};

class AsyncImageInput extends HTMLElement {
  /** @type {File | null | undefined} */
  #file;
  #refused = "";

  connectedCallback() {
    // The events of a form in a shadow root do not leave it.
    this.getRootNode().addEventListener("reset", reset, true);
    // Chromium says "cancel" when the same file is chosen again, whatever is in it now.
    for (const type of ["change", "cancel", "click", ...RECEIVED]) this.addEventListener(type, this);
    addEventListener("pageshow", this);
    this.#tell("connected", { root: this.getRootNode() });
    this.refresh();
    // A library that morphs the page fills the element later.
    if (!this.input) queueMicrotask(() => this.refresh());
  }

  disconnectedCallback() {
    removeEventListener("pageshow", this);
  }

  /** @param {string} selector @returns {any} */
  find(selector) {
    return this.querySelector(selector);
  }

  /** @returns {HTMLInputElement} */
  get input() {
    return this.find("[type=file]");
  }

  get draft() {
    return this.find("async-image-draft");
  }

  /** @param {any} event */
  handleEvent(event) {
    const { target, type } = event;
    if (RECEIVED.includes(type)) return this.#receive(event);
    if (type === "click") return this.#click(target);
    const clear = this.find("[type=checkbox]");
    // Django refuses a file together with Clear: the newer one wins.
    if (clear && target === this.input) clear.checked &&= !this.input.value;
    else if (clear?.checked && target === clear) {
      this.input.value = "";
      this.draft?.forget?.();
    }
    this.refresh();
  }

  // A file is dropped anywhere on the element, or pasted while anything in it has the focus.
  /** @param {any} event */
  #receive(event) {
    const { input } = this;
    const { type, target, dataTransfer, clipboardData } = event;
    const transfer = dataTransfer ?? clipboardData;
    if (!input || input.matches(":disabled") || !transfer?.types.includes("Files")) return;
    this.toggleAttribute("data-over", type === "dragover");
    if (type === "dragleave" || type !== "paste" && target === input) return; // The browser's own.
    event.preventDefault();
    if (type === "dragover") transfer.dropEffect = "copy";
    else if (transfer.files.length) this.#fill(transfer.files[0]);
  }

  /** @param {any} target */
  #click(target) {
    if (target.closest(".async-image-another")) this.input.click();
    if (!target.closest(".async-image-remove")) return;
    const isChosen = !!this.input.value;
    this.#fill(null);
    if (!isChosen) this.draft?.forget?.();
    const another = this.find(".async-image-another");
    (this.input.hidden ? another : this.input).focus();
  }

  // As the person would: with the events, for any other script. An input without "multiple" takes two files.
  /** @param {File | null} file */
  #fill(file) {
    const { input } = this;
    const transfer = new DataTransfer();
    if (file) transfer.items.add(file);
    input.files = transfer.files;
    for (const type of ["input", "change"]) input.dispatchEvent(new Event(type, { bubbles: true }));
  }

  // An input may hold a file without an event: after Back, or in a clone.
  refresh() {
    const { input } = this;
    const file = input?.files?.[0] ?? null;
    if (!input || file === this.#file) return;
    const isChanged = file || this.#file || this.find(".async-image-error")?.textContent;
    this.#file = file;
    const refusal = file ? this.#refusal(file) : "";
    if (isChanged) this.#say(refusal, refusal);
    this.#preview(refusal ? null : file);
    this.describe();
    this.#tell("chosen", { file: refusal ? null : file });
  }

  /** @param {string} what @param {object} detail */
  #tell(what, detail = {}) {
    const options = { bubbles: true, composed: true, detail };
    this.dispatchEvent(new CustomEvent(`django-async-forms:${what}`, options));
  }

  // Names the chosen file, or the one that was kept when the form came back.
  describe() {
    const { input } = this;
    if (!input) return;
    const stage = this.find(".async-image-stage");
    const kept = this.find(".async-image-kept");
    const { name = "", size = "" } = this.#file
      ? { name: this.#file.name, size: this.#readable(this.#file.size) } : kept?.dataset ?? {};
    if (stage) stage.tabIndex = -1; // So that one may click on it, and paste.
    if (kept) kept.hidden = !!this.#file;
    // The input would say that no file is chosen.
    input.hidden = !!kept && !this.#file;
    if (this.dataset.required !== undefined) input.required = !kept;
    const [title, bytes, another, remove] = ["name", "size", "another", "remove"]
      .map((part) => this.find(`.async-image-${part}`));
    if (!title || !bytes || !another || !remove) return; // A template of the project's may lack them.
    title.textContent = name;
    bytes.textContent = size;
    another.hidden = !input.hidden;
    remove.hidden = !name;
    remove.textContent = this.draft?.travelling ? remove.dataset.cancel : remove.dataset.remove;
    for (const button of [another, remove]) {
      button.setAttribute("aria-label", `${button.textContent}: ${name}`);
    }
  }

  // As the server writes it.
  /** @param {number} bytes */
  #readable(bytes) {
    const { sizes = "", point = "." } = this.dataset;
    const units = sizes.split("|");
    let size = bytes / 1024;
    while (size >= 1024 && units.length > 1) {
      size /= 1024;
      units.shift();
    }
    return units[0].replace("{}", size.toFixed(1).replace(".", point));
  }

  // The server's refusal of a file that has arrived; without a file, an error that stops nothing.
  /** @param {string} text @param {File | null} file */
  report(text, file) {
    if (file !== this.#file) return;
    this.#say(text, file ? text : "");
    if (file) this.#preview(null);
  }

  /** @param {File} file */
  #refusal({ name, size, type }) {
    const { maxBytes, unit, point = "", tooLarge = "", wrongType = "", empty = "" } = this.dataset;
    if (!size && empty) return empty;
    if (size > Number(maxBytes)) {
      return tooLarge.replace("{}", (size / Number(unit)).toFixed(1).replace(".", point));
    }
    const known = typeOf(type);
    const ending = name.match(/.\.([^.]+)$/)?.[1].toLowerCase();
    const accepted = this.input.accept.split(",").map(typeOf).filter((part) => /^\..|\//.test(part));
    // A browser that does not know the type leaves it to the server.
    const fits = accepted.some((part) => part[0] === "." ? name.toLowerCase().endsWith(part)
      : !known || part === known || part === "*/*" || part === known.replace(/\/.*/, "/*"));
    return fits || !accepted.length ? ""
      : wrongType.replace("{}", () => (ending ?? known).toUpperCase());
  }

  // Takes the place of the server's error, which is about the file before.
  /** @param {string} text @param {string} refusal */
  #say(text, refusal) {
    const { input } = this;
    const error = this.find(".async-image-error");
    const server = /** @type {Document} */ (this.getRootNode()).getElementById(`${input.id}_error`);
    if (server) server.hidden = !!this.#file;
    const isInvalid = !!text || !!server && !this.#file;
    const { validity, validationMessage } = input;
    // A script of the project's may have refused the file before.
    const isOthers = validity.customError && validationMessage && validationMessage !== this.#refused;
    if (refusal || !isOthers) input.setCustomValidity(refusal);
    this.#refused = refusal;
    input.setAttribute("aria-invalid", `${isInvalid}`);
    input.classList.toggle("is-invalid", isInvalid);
    if (!error) return;
    error.textContent = text;
    error.id = `${input.id}_refused`;
    const others = (input.getAttribute("aria-describedby") ?? "").replace(/\S+_refused/, "");
    input.setAttribute("aria-describedby", `${others} ${error.id}`.trim());
  }

  /** @param {File | null} file */
  #preview(file) {
    const preview = this.find(".async-image-preview");
    if (!preview) return;
    preview.replaceChildren();
    preview.hidden = !file;
    if (!file) return;
    const image = new Image();
    image.alt = file.name;
    image.src = URL.createObjectURL(file);
    image.onload = () => URL.revokeObjectURL(image.src);
    image.onerror = () => {
      image.remove();
      preview.hidden = !preview.firstChild;
      // A policy that forbids the preview does not forbid this. TIFF and HEIC are left to the server.
      if (/jpe?g|png|gif|webp|avif|bmp/.test(file.type)) createImageBitmap(file).catch(() => {
        if (this.#file === file && !this.input.validationMessage) this.#say(this.dataset.invalid ?? "", "");
      });
    };
    preview.append(image);
  }
}

/** @param {string} text */
function typeOf(text) {
  const type = text.split(";")[0].trim().toLowerCase();
  return KNOWN_AS[type] ?? type;
}

/** @param {Event} event */
function reset({ target }) {
  const form = /** @type {any} */ (target);
  setTimeout(() => {
    for (const element of form.getRootNode().querySelectorAll("async-image-input")) {
      if (element.input?.form === form) element.refresh();
    }
  });
}

// A page that Turbo keeps may load the script of the next deployment too.
if (!customElements.get("async-image-input")) customElements.define("async-image-input", AsyncImageInput);
