// Sends the chosen file of an <async-image-input> while the rest of the form is filled in, by the tus
// protocol, and has the form carry the draft's token in place of the bytes. Whatever fails, fails quietly:
// the file then goes with the form.

const PROTOCOL = { "Tus-Resumable": "1.0.0" };
const PART = 256 * 1024;
const AT_ONCE = 2;
const PAUSES = [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000];
const MOST_ERRORS = 3;
// Longer than that, no page relies on a draft.
const FRESH = 6e5;

/** @type {(() => void)[]} Those that wait for their turn. */
const queue = [];
let active = 0;

/** @type {Set<() => void>} Those that pause after a failure. */
const sleepers = new Set();

// When the person has left the page: another one may have ended the session since.
let left = 0;

function wake() {
  if (document.hidden) left = Date.now();
  else sleepers.forEach((resolve) => resolve());
}

/** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
async function inTurn(work) {
  while (active >= AT_ONCE) await new Promise((resolve) => queue.push(() => resolve(null)));
  active++;
  try {
    return await work();
  } finally {
    active--;
    queue.shift()?.();
  }
}

// The server does not take the file. With a text, the form field has refused it, or would.
class NotTaken extends Error {}

// One file on its way to the server.
class Transfer {
  /** @type {string} */
  url = "";
  sent = 0;
  errors = 0;
  #abort = new AbortController();

  /**
   * @param {File} file
   * @param {{drafts: string, grant: string, part: number, invalid: string, csrf: Record<string, string>}} options
   * @param {(isPaused: boolean) => void} tell
   */
  constructor(file, options, tell) {
    this.file = file;
    this.options = options;
    this.tell = tell;
  }

  get isAborted() {
    return this.#abort.signal.aborted;
  }

  // Returns the token. Raises NotTaken.
  async send() {
    /** @param {SecurityPolicyViolationEvent} event */
    const forbid = ({ blockedURI, disposition }) => {
      if (disposition === "enforce" && blockedURI === this.options.drafts) this.abort();
    };
    document.addEventListener("securitypolicyviolation", forbid);
    try {
      return await this.#attempt();
    } finally {
      document.removeEventListener("securitypolicyviolation", forbid);
    }
  }

  async #attempt() {
    let failures = 0;
    while (!this.isAborted) {
      const before = this.sent;
      if (await this.#go()) return token(this.url);
      if (this.sent > before) failures = 0;
      if (failures === PAUSES.length || this.isAborted) break;
      this.tell(true);
      await this.#pause(PAUSES[failures++]);
    }
    throw new NotTaken();
  }

  // What has arrived counts towards the limits of its sender.
  abort() {
    if (this.isAborted) return;
    this.#abort.abort();
    if (this.url) remove(this.url, this.options.csrf);
  }

  // Sends as much as it can, and tells whether that is all.
  async #go() {
    const { file, options } = this;
    const { length } = this.url;
    const response = await (length ? this.#ask("HEAD", this.url) : this.#ask("POST", options.drafts, {
      "Upload-Length": `${file.size}`,
      "Upload-Metadata": Object.entries({ grant: options.grant, ...described(file) })
        .map(([key, value]) => `${key} ${base64(value)}`).join(","),
    }));
    if (!response) return false;
    if (length) this.sent = Number(response.headers.get("Upload-Offset"));
    else if (response.status !== 201) throw new NotTaken(); // Some other page.
    else this.url = new URL(response.headers.get("Location") ?? "", response.url).href;
    if (!length && this.isAborted) remove(this.url, options.csrf);
    for (;;) {
      this.tell(false);
      if (this.sent >= file.size || this.isAborted) return !this.isAborted;
      const part = file.slice(this.sent, this.sent + options.part);
      // No attempt can read a folder that was dropped, or a file that has changed on the disk. With it, the
      // form would end at an error of the browser.
      if (!await part.slice(0, 1).arrayBuffer().catch(() => null)) throw new NotTaken(options.invalid);
      if (this.isAborted) return false;
      const headers = { "Upload-Offset": `${this.sent}`, "Content-Type": "application/offset+octet-stream" };
      const answer = await this.#ask("PATCH", this.url, headers, part);
      if (!answer) return false;
      const offset = Number(answer.headers.get("Upload-Offset"));
      if (offset <= this.sent) return false;
      this.sent = offset;
    }
  }

  // Returns nothing if it is worth another attempt. Raises NotTaken.
  /** @param {string} method @param {string} url @param {Record<string, string>} headers @param {Blob?} body */
  async #ask(method, url, headers = {}, body = null) {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    // A connection that is gone is silent. At 20 kB/s, the answer is there by then.
    const timer = setTimeout(stop, 3e4 + (body?.size ?? 0) / 20);
    // The draft that a POST has made can be removed once its address is known.
    if (method !== "POST") this.#abort.signal.addEventListener("abort", stop, { once: true });
    try {
      const response = await fetch(url, {
        method,
        body,
        headers: { ...headers, ...PROTOCOL, ...this.options.csrf },
        redirect: "manual", // To a login page, say.
        signal: attempt.signal,
      });
      if (response.ok) return response;
      const { status } = response;
      // An error of the site, unlike one of a proxy, does not end by waiting. The form shows it.
      if (status === 500 && ++this.errors === MOST_ERRORS) throw new NotTaken();
      // A proxy may limit how many parts come at a time. For a POST, 429 is the limit of drafts.
      if ([408, 409, 423].includes(status) || status === 429 && method !== "POST" || status >= 500) return null;
      if ([404, 422].includes(status)) this.url = ""; // There is nothing to remove.
      throw new NotTaken(status === 422 ? await response.text() : "");
    } catch (error) {
      if (error instanceof NotTaken) throw error;
      return null;
    } finally {
      clearTimeout(timer);
      this.#abort.signal.removeEventListener("abort", stop);
    }
  }

  // Ends early when the network is back, or the person; without a network, no time counts.
  /** @param {number} delay @returns {Promise<void>} */
  #pause(delay) {
    return new Promise((resolve) => {
      const timer = navigator.onLine ? setTimeout(() => done(), delay) : 0;
      const done = () => {
        clearTimeout(timer);
        sleepers.delete(done);
        resolve();
      };
      sleepers.add(done);
      this.#abort.signal.addEventListener("abort", done, { once: true });
    });
  }
}

// The server answers 423 while it receives a part. What is not removed expires.
/** @param {string} url @param {Record<string, string>} csrf */
async function remove(url, csrf) {
  for (const delay of [0, 1000, 4000]) {
    if (delay) await new Promise((resolve) => setTimeout(resolve, delay));
    const options = { method: "DELETE", headers: { ...PROTOCOL, ...csrf }, keepalive: true };
    const answer = await fetch(url, { ...options, redirect: "manual" }).catch(() => null);
    if (answer?.status !== 423) return;
  }
}

// As a browser describes the file in a form.
/** @param {File} file */
function described({ name, type }) {
  return {
    filename: name.replace(/["\r\n]/g, encodeURIComponent),
    filetype: type || "application/octet-stream",
  };
}

/** @param {string} text */
function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** @param {string} url */
function token(url) {
  return decodeURIComponent(new URL(url).pathname.split("/").filter(Boolean).at(-1) ?? "");
}

// The bar under the image: its name, how far it is, and in it the hidden input with the token.
class AsyncImageDraft extends HTMLElement {
  /** @type {File?} The file that is chosen, and the one that the token is of. */
  #file = null;
  /** @type {File?} */
  #sentFile = null;
  /** @type {Transfer?} */
  #transfer = null;
  /** @type {((isGoingOn: boolean) => void)?} */
  #end = null;
  /** @type {Promise<boolean>?} While the file is travelling; false if the person has cancelled it. */
  travelling = null;
  /** @type {any} */
  #owner = null;
  #isKnown = false;
  /** Whether a form may be on its way with the token. */
  #isCarried = false;
  /** When the draft was there, or was asked for before a form. */
  #seen = Date.now();
  #timer = 0;

  connectedCallback() {
    this.#owner = this.closest("async-image-input");
    if (!this.#owner) return;
    this.#owner.addEventListener("django-async-forms:chosen", this);
    this.getRootNode().addEventListener("formdata", complete);
    if (this.#isKnown) return;
    this.#isKnown = true;
    if (this.dataset.state !== "kept") {
      this.#hidden?.remove(); // A clone's: the token is of another input.
      this.#show("");
    } else if (this.#isCopy) this.forget(false);
    else if (/** @type {any} */ (performance.getEntriesByType("navigation")[0])?.type === "back_forward") {
      this.verify();
    }
    const { input } = this;
    // An element that was there before has told already.
    if (input && this.#owner.matches(":defined") && !input.validity.customError) this.#choose(input.files?.[0]);
  }

  disconnectedCallback() {
    // Not one that is moved.
    setTimeout(() => !this.isConnected && this.travelling && this.#stop());
  }

  /** @param {any} event */
  handleEvent({ detail }) {
    this.#choose(detail.file);
  }

  /** @returns {HTMLInputElement?} */
  get input() {
    return this.#owner?.querySelector("[type=file]");
  }

  /** @returns {HTMLInputElement?} */
  get #hidden() {
    return this.querySelector("input[type=hidden]");
  }

  /** @returns {Record<string, string>} */
  get #csrf() {
    // Not form.elements: that may be a field of this name.
    const root = /** @type {Element} */ (this.getRootNode());
    /** @type {NodeListOf<HTMLInputElement>} */
    const all = root.querySelectorAll("input[name=csrfmiddlewaretoken]");
    const { csrfHeader, csrfToken } = this.#owner.dataset;
    const token = [...all].find(({ form }) => form === this.input?.form)?.value || csrfToken;
    return token ? { [csrfHeader || "X-CSRFToken"]: token } : {};
  }

  // A script has copied a row of a formset: the token is of the other one.
  get #isCopy() {
    const hidden = this.#hidden;
    /** @type {NodeListOf<HTMLInputElement>} */
    const all = /** @type {Element} */ (this.getRootNode()).querySelectorAll("async-image-draft [type=hidden]");
    return !!hidden && [...all].some((other) =>
      other !== hidden && other.value === hidden.value && other.form === hidden.form);
  }

  /** @param {string} held */
  #url(held) {
    const { drafts } = this.#owner.dataset;
    return drafts && held ? new URL(`${drafts}${encodeURIComponent(held)}/`, document.baseURI).href : "";
  }

  /** @param {File?} [file] */
  #choose(file = null) {
    if (file === this.#file) return this.travelling ? undefined : this.#show(this.#resting);
    this.#stop(!!file);
    this.#file = file;
    // A file that takes the place of a draft does so once it has arrived.
    if (!file && this.#sentFile) this.forget();
    this.#show(this.#resting);
    if (file?.size && this.#owner.dataset.drafts) this.#send(file);
  }

  /** @param {File} file */
  async #send(file) {
    const { drafts, grant, takesParts, invalid = "" } = this.#owner.dataset;
    const part = takesParts === undefined ? file.size : PART;
    const options = { drafts: new URL(drafts, document.baseURI).href, grant, part, invalid, csrf: this.#csrf };
    const transfer = this.#transfer = new Transfer(file, options, (isPaused) => {
      if (this.#transfer === transfer) this.#show(isPaused ? "paused" : "sending");
    });
    this.travelling = new Promise((resolve) => { this.#end = resolve; });
    this.#show(active < AT_ONCE ? "sending" : "queued");
    let held = "", text = "";
    try {
      held = await inTurn(() => transfer.send());
    } catch (error) {
      if (!(error instanceof NotTaken)) throw error;
      transfer.abort();
      text = error.message;
    }
    if (this.#transfer !== transfer) return;
    if (held) this.#hold(held, file);
    this.#finish(true);
    this.#show(this.#resting);
    if (text) this.#owner.report?.(text, file);
  }

  /** @param {boolean} isGoingOn */
  #finish(isGoingOn) {
    this.#transfer = this.travelling = null;
    this.#end?.(isGoingOn);
    this.#end = null;
  }

  #stop(isGoingOn = false) {
    this.#transfer?.abort();
    this.#finish(isGoingOn);
  }

  /** @param {string} held @param {File} file */
  #hold(held, file) {
    this.#drop();
    const hidden = document.createElement("input");
    hidden.type = "hidden";
    hidden.name = `${this.input?.name}-draft`;
    hidden.value = held;
    this.prepend(hidden);
    this.#sentFile = file;
    this.#seen = Date.now();
  }

  // Without the draft that the form would carry.
  forget(isThere = true) {
    this.#drop(isThere);
    this.#sentFile = null;
    this.#show(this.#resting);
  }

  // A form that is on its way with the token needs the draft. If it does not arrive, the draft expires.
  #drop(isThere = true) {
    const hidden = this.#hidden;
    const url = this.#url(hidden?.value ?? "");
    if (url && isThere && !this.#isCarried) remove(url, this.#csrf);
    hidden?.remove();
    this.#owner.querySelector(".async-image-kept")?.remove();
    this.#isCarried = false;
  }

  // A form that a script sends stays in the page, and no event tells when it has claimed the draft.
  watch(delay = 2000) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      await this.verify();
      if (this.#isCarried && delay < 1e5) this.watch(delay * 4);
    }, delay);
  }

  // Before a form is submitted. A form has perhaps claimed the draft, or it has expired.
  async recheck() {
    const isFresh = !this.#isCarried && this.#seen > left && Date.now() < this.#seen + FRESH;
    if (isFresh || !this.#hidden || this.travelling) return;
    this.#isCarried = false;
    this.#seen = Date.now();
    this.travelling = new Promise((resolve) => { this.#end = resolve; });
    const isGoingOn = await this.verify();
    if (!this.#transfer) this.#finish(isGoingOn);
  }

  // Another form may have claimed the draft: this one, if the page has stayed, or before Back. Returns
  // whether the form can do without what is gone.
  async verify() {
    const held = this.#hidden?.value ?? "";
    const url = this.#url(held);
    if (!url) return true;
    // A form may wait for the answer.
    const signal = AbortSignal.timeout(5000);
    const answer = await fetch(url, { method: "HEAD", headers: PROTOCOL, redirect: "manual", signal }).catch(() => null);
    // A library may have swapped the form meanwhile.
    if (answer?.status !== 404 || this.#hidden?.value !== held || !this.isConnected) return true;
    const file = this.#sentFile;
    this.forget(false);
    if (!file) this.#owner.report?.(this.dataset.gone, null);
    else if (file === this.#file) {
      this.#file = null;
      this.#choose(file);
    }
    return !!file;
  }

  get #resting() {
    if (this.#sentFile && this.#sentFile === this.#file) return "sent";
    return this.#hidden && !this.#sentFile && !this.input?.files?.length ? "kept" : "";
  }

  // The words are announced when they change, so the per cent stand apart from them.
  /** @param {string} state */
  #show(state) {
    const status = this.querySelector("[role=status]");
    const percent = this.querySelector(".async-image-percent");
    const bar = this.querySelector("progress");
    if (state !== this.dataset.state || !state) {
      if (state) this.dataset.state = state;
      else delete this.dataset.state;
      const text = state === "sending" ? this.#owner.dataset.sending : this.dataset[state];
      if (status) status.textContent = text ?? "";
      this.#owner.describe?.();
    }
    const { sent = 0, file, options } = this.#transfer ?? {};
    const isMeasured = !!file && !!options && options.part < file.size && state !== "queued";
    const share = isMeasured ? sent / file.size : 0;
    if (percent) percent.textContent = isMeasured ? per(share, this) : "";
    if (bar && isMeasured) bar.value = share;
    else bar?.removeAttribute("value");
  }

  /** @param {HTMLFormElement} form @param {FormData} data */
  withdraw(form, data) {
    const hidden = this.#hidden;
    if (hidden?.form === form) data.delete(hidden.name);
  }

  // The token goes where the browser puts the file of the input, and not if it leaves that out. The name is
  // the input's at this moment: scripts rename those of formsets.
  /** @param {HTMLFormElement} form @param {FormData} data */
  complete(form, data) {
    const { input } = this;
    const hidden = this.#hidden;
    if (!hidden || input?.form !== form || !input.name || input.matches(":disabled")) return;
    // A script may have emptied the input, or given it others, without an event.
    const { files } = input;
    if (this.#sentFile && (this.#sentFile !== files?.[0] || files.length > 1)) return;
    hidden.name = `${input.name}-draft`;
    data.set(hidden.name, hidden.value);
    this.#isCarried = true;
    if (this.#sentFile) data.delete(input.name);
  }
}

/** @param {number} share @param {Element} element */
function per(share, element) {
  const options = /** @type {any} */ ({ style: "percent" });
  const language = element.closest("[lang]")?.getAttribute("lang") || undefined;
  try {
    return share.toLocaleString(language, options);
  } catch {
    return share.toLocaleString(undefined, options); // No browser knows the language's code.
  }
}

// However the form is submitted, it carries the token and not the bytes.
/** @param {any} event */
function complete({ target: form, formData }) {
  const drafts = form.getRootNode().querySelectorAll("async-image-draft");
  // All before the first: two inputs may have changed names.
  for (const draft of drafts) draft.withdraw?.(form, formData);
  for (const draft of drafts) draft.complete?.(form, formData);
}

// A page that Turbo keeps may load the script of the next deployment too.
if (!customElements.get("async-image-draft")) {
  document.addEventListener("visibilitychange", wake);
  addEventListener("online", wake);
  customElements.define("async-image-draft", AsyncImageDraft);
}
