// A file input that shows the chosen image and refuses what the server would refuse. The browser
// submits its form: this says so, and stops a second press until the answer is there.

const STARTS = ["submit", "turbo:submit-start", "htmx:beforeRequest", "htmx:before:request"];
const ENDS = ["turbo:submit-end", "htmx:afterRequest", "htmx:after:request", "htmx:finally:request",
  "htmx:beforeHistorySave"];

/** @type {Map<HTMLFormElement, {event: Event, undo: (() => void)[]}>} */
const sent = new Map();

class AsyncImageInput extends HTMLElement {
  /** @type {File | null | undefined} */
  #file;

  connectedCallback() {
    // The events of a form in a shadow root do not leave it.
    const root = this.getRootNode();
    for (const type of STARTS) root.addEventListener(type, start, true);
    for (const type of ENDS) root.addEventListener(type, end, true);
    root.addEventListener("reset", reset);
    this.addEventListener("change", this);
    addEventListener("pageshow", this);
    this.refresh();
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

  /** @param {Event} event */
  handleEvent({ target }) {
    const clear = this.find("[type=checkbox]");
    // Django refuses a file together with Clear: the newer one wins.
    if (clear && target === this.input) clear.checked &&= !this.input.value;
    else if (clear?.checked && target === clear) this.input.value = "";
    this.refresh();
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
  }

  /** @param {File} file */
  #refusal({ name, size, type }) {
    const { maxBytes, unit, point = "", tooLarge = "", wrongType = "" } = this.dataset;
    if (size > Number(maxBytes)) {
      return tooLarge.replace("{}", (size / Number(unit)).toFixed(1).replace(".", point));
    }
    const known = type.split(";")[0].toLowerCase();
    const ending = name.match(/.\.([^.]+)$/)?.[1].toLowerCase();
    const accepted = this.input.accept.toLowerCase().split(",")
      .map((part) => part.split(";")[0].trim()).filter((part) => /^\..|\//.test(part));
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
    input.setCustomValidity(refusal);
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
        if (this.#file === file) this.#say(this.dataset.invalid ?? "", "");
      });
    };
    preview.append(image);
  }
}

/** @param {any} form @returns {AsyncImageInput[]} */
function inputsOf(form) {
  return [...form.getRootNode().querySelectorAll("async-image-input")]
    .filter(({ input }) => input?.form === form);
}

/** @param {Event} event */
function reset({ target }) {
  setTimeout(() => inputsOf(target).forEach((element) => element.refresh()));
}

// Of htmx's requests for a form, those that do not submit it: a validation on each change, say.
/** @param {any} event */
function isSubmitted({ detail }) {
  const cause = detail?.requestConfig?.triggeringEvent ?? detail?.ctx?.sourceEvent;
  return !cause || cause.type === "submit";
}

// The form is submitted, by the browser or by a library that asks for the answer itself.
/** @param {any} event */
function start(event) {
  const { target: form, submitter, type } = event;
  if (!(form instanceof HTMLFormElement)) return;
  const before = sent.get(form);
  if (before && !before.event.defaultPrevented) {
    if (type !== "submit") return;
    event.preventDefault();
    return event.stopImmediatePropagation();
  }
  const stays = () => {
    // Not form.target: that may be a button of this name.
    const [method, target] = ["method", "target"].map((name) =>
      submitter?.getAttribute(`form${name}`) ?? form.getAttribute(name));
    return /^dialog$/i.test(method)
      || !/^(_self|_parent|_top)?$/i.test(target ?? document.querySelector("base")?.target ?? "");
  };
  const inputs = inputsOf(form);
  if (!inputs.length || stays() || !isSubmitted(event)) return;
  const sending = { event, undo: [] };
  sent.set(form, sending);
  // After all listeners, and after the browser has taken the values.
  setTimeout(() => {
    if (sent.get(form) !== sending) return;
    if (event.defaultPrevented || stays()) sent.delete(form);
    else show(form, inputs, sending.undo);
  });
}

// Nothing is disabled: that loses the focus, and lasts where the page stays.
/** @param {HTMLFormElement} form @param {AsyncImageInput[]} inputs @param {(() => void)[]} undo */
function show(form, inputs, undo) {
  const element = inputs.find(({ input }) => input.value) ?? inputs[0];
  const text = element.dataset.sending ?? "";
  const status = element.find("[role=status]");
  element.toggleAttribute("data-busy", true);
  if (status) status.textContent = text; // A template of the project's may lack it.
  let bytes = 0;
  /** @type {NodeListOf<any>} */
  const controls = /** @type {Document} */ (form.getRootNode()).querySelectorAll("button, input");
  for (const control of controls) {
    if (control.form !== form) continue;
    for (const { size } of control.files ?? []) bytes += size;
    if (!/submit|image/.test(control.type)) continue;
    const nodes = [...control.childNodes], value = control.getAttribute("value");
    const isInput = control.localName === "input";
    control.setAttribute("aria-disabled", "true");
    if (isInput) control.value = text;
    else control.replaceChildren(text);
    undo.push(() => {
      control.removeAttribute("aria-disabled");
      if (!isInput) control.replaceChildren(...nodes);
      else if (value === null) control.removeAttribute("value");
      else control.value = value;
    });
  }
  // No browser tells that the answer was a file to save, or none (204). At 20 kB/s, it is there by now.
  const timer = setTimeout(finish, 1e4 + bytes / 20, form);
  undo.push(() => {
    clearTimeout(timer);
    element.removeAttribute("data-busy");
    if (status) status.textContent = "";
  });
}

/** @param {HTMLFormElement} form */
function finish(form) {
  sent.get(form)?.undo.forEach((restore) => restore());
  sent.delete(form);
}

/** @param {any} event */
function end(event) {
  const { target, type } = event;
  for (const form of sent.keys()) {
    const isKept = type === "htmx:beforeHistorySave" && target.contains(form);
    if (isKept || form === target && isSubmitted(event)) finish(form);
  }
}

function endAll() {
  [...sent.keys()].forEach(finish);
}

// A page that Turbo keeps may load the script of the next deployment too.
if (!customElements.get("async-image-input")) {
  // Stop. Then Back, to a page as it was left.
  /** @type {any} */ (window).navigation?.addEventListener("navigateerror", endAll);
  addEventListener("pageshow", ({ persisted }) => persisted && endAll());
  customElements.define("async-image-input", AsyncImageInput);
}
