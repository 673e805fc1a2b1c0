// Turns the pending images and files of a page into the saved ones, without a reload.
//
// Each status URL is asked for all of its elements at once, after pauses that grow, and not while nobody
// looks. Events: "django-async-forms:saved" (detail: {url}) and "django-async-forms:failed".

const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 10_000;
const MAX_TOKENS = 500;

/** @type {Set<AsyncImage>} */
const pending = new Set();
const asking = new Set();
let pause = FIRST_PAUSE;
let due = Infinity;
let timer = 0;

class AsyncImage extends HTMLElement {
  static observedAttributes = ["data-state", "data-token", "data-status-url", "data-live", "data-slow-in"];
  slowAt = Infinity;

  connectedCallback() {
    addStyle(this);
    this.attributeChangedCallback();
  }

  disconnectedCallback() {
    pending.delete(this);
  }

  // Other scripts clone the element, move it and change its attributes.
  attributeChangedCallback(name = "") {
    const { state, token, statusUrl, slowIn } = this.dataset;
    if (name === "data-slow-in") this.slowAt = performance.now() + Number(slowIn) * 1000;
    const isLive = state === "pending" && !!token && !!statusUrl;
    this.toggleAttribute("data-live", isLive);
    if (!isLive || !this.isConnected) return pending.delete(this);
    pending.add(this);
    wake();
  }

  /** @param {string} token @param {any} answer */
  async settle(token, answer) {
    const isCurrent = () => this.isConnected && this.dataset.state === "pending" && this.dataset.token === token;
    if (!isCurrent()) return;
    if (answer === undefined) return this.removeAttribute("data-token"); // It has expired.
    const { state, url, name } = answer ?? {};
    const isSaved = state === "saved" && (url === null || typeof url === "string");
    if (!isSaved && state !== "failed") return;
    pending.delete(this);
    const shown = url || name ? await this.#make(url, name) : "";
    if (!isCurrent()) return;
    const old = this.#find();
    if (isSaved && old) old.replaceWith(shown);
    else if (isSaved) this.prepend(shown);
    // A <picture> of the project's would go on showing what they name.
    if (isSaved) this.querySelectorAll("source").forEach((source) => source.remove());
    this.removeAttribute("aria-busy");
    this.dataset.state = state;
    announce(this, this.show(state) ?? this.querySelector("template")?.dataset.announce);
    const detail = { url: url ?? null };
    this.dispatchEvent(new CustomEvent(`django-async-forms:${state}`, { bubbles: true, detail }));
  }

  /** Show the note of a state. @param {string} state */
  show(state) {
    for (const note of this.querySelectorAll("[data-when]")) {
      note.toggleAttribute("hidden", note.getAttribute("data-when") !== state);
    }
    return this.querySelector("[data-when]:not([hidden])")?.textContent;
  }

  #find() {
    return this.querySelector(this.localName === "async-file" ? "a, .async-file-name" : "img, svg");
  }

  /** @param {string?} url @param {string} name */
  async #make(url, name) {
    const old = this.#find();
    const tag = this.localName === "async-file" ? "a" : "img";
    const model = this.querySelector("template")?.content.querySelector(tag) ?? document.createElement(tag);
    /** @type {any} */
    const made = document.importNode(old?.localName === tag ? old : model);
    if (tag === "a") {
      made.toggleAttribute("href", !!url);
      if (url) made.href = url;
      made.textContent = name ?? url;
      return made;
    }
    // It keeps the place of the old one, whatever its own dimensions.
    for (const side of ["width", "height"]) {
      if (old) made.setAttribute(side, old.getAttribute(side) ?? getComputedStyle(old).getPropertyValue(side));
    }
    made.removeAttribute("srcset");
    made.loading = "eager";
    made.src = url;
    // All of it, so that nothing jumps. One that cannot be decoded is shown as browsers show such.
    await made.decode().catch(() => {});
    return made;
  }
}

function wake() {
  pause = FIRST_PAUSE;
  schedule();
}

function schedule() {
  const then = performance.now() + pause;
  if (document.hidden || !pending.size || then >= due) return;
  due = then;
  clearTimeout(timer);
  timer = setTimeout(tick, pause);
}

function tick() {
  due = Infinity;
  if (document.hidden) return;
  pause = Math.min(pause * 1.5, LONGEST_PAUSE);
  /** @type {Map<string, AsyncImage[]>} */
  const groups = new Map();
  for (const image of pending) {
    const url = image.dataset.statusUrl ?? "";
    groups.set(url, groups.get(url) ?? []);
    groups.get(url)?.push(image);
    if (performance.now() > image.slowAt) image.show("slow");
  }
  groups.forEach(ask);
  schedule();
}

/** @param {AsyncImage[]} images @param {string} url */
async function ask(images, url) {
  if (asking.has(url)) return;
  asking.add(url);
  while (images.length) {
    const some = images.splice(0, MAX_TOKENS);
    const tokens = some.map((image) => image.dataset.token ?? "");
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ tokens }),
        signal: AbortSignal.timeout(15_000),
      });
      const answers = (await response.json()).images;
      if (!response.ok || answers.constructor !== Object) continue;
      // Asynchronous, so that one that fails stops no other.
      some.forEach(async (image, i) => image.settle(tokens[i], answers[tokens[i]]));
    } catch {
      // No answer, or not one of ours: it is asked again.
    }
  }
  asking.delete(url);
}

// One live region for the page: a hundred would all speak at once. Outside of a modal dialog, none is heard.
/** @param {Element} element */
function announce(element, text = "") {
  const place = element.closest("dialog") ?? document.body;
  let region = place.querySelector(":scope > .async-image-announcer");
  if (!region) {
    region = document.createElement("div");
    region.className = "async-image-announcer";
    region.setAttribute("role", "status");
    place.append(region);
  }
  region.textContent = text;
}

/** @type {Element | null | undefined} */
let sheet;

// Each shadow root needs the style sheet, and the page needs it when the element that brought it goes.
/** @param {Element} element */
function addStyle(element) {
  sheet ??= element.querySelector("link") ?? document.querySelector("link[href*='/async-image.']");
  const root = element.getRootNode();
  const place = root instanceof ShadowRoot ? root : document.head;
  if (sheet && !place.querySelector(`link[href="${sheet.getAttribute("href")}"]`)) place.append(sheet.cloneNode());
}

// A page that Turbo keeps may load the script of the next deployment too.
if (!customElements.get("async-image")) {
  document.addEventListener("visibilitychange", wake);
  addEventListener("pageshow", wake);
  addEventListener("online", wake);
  customElements.define("async-image", AsyncImage);
  customElements.define("async-file", class extends AsyncImage {});
}
