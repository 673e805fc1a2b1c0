// Turns the images of a page that are being saved into the saved ones, with no reload.
//
// There is one request at a time for all of them, after pauses that grow, and none while nobody
// looks at the page or once the tokens have expired. Each element that gets its image dispatches
// "django-async-forms:saved" (detail: {url}), and "django-async-forms:failed" if there will be none.

const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 10_000;
const GROWTH = 1.5;
const MAX_TOKENS = 500;

const pending = new Set();
let pause = FIRST_PAUSE;
let timer = null;
let asking = false;

class AsyncImage extends HTMLElement {
  connectedCallback() {
    if (this.dataset.state !== "pending" || !this.dataset.token) return;
    this.dataset.live = "";
    document.addEventListener("visibilitychange", look);
    pending.add(this);
    pause = FIRST_PAUSE;
    schedule();
  }

  disconnectedCallback() {
    pending.delete(this);
  }

  async settle({ state, url }) {
    if (state === "pending") return;
    pending.delete(this);
    if (state === "saved") await this.#show(url);
    this.dataset.state = state;
    this.removeAttribute("aria-busy");
    for (const note of this.querySelectorAll("[data-when]")) {
      note.hidden = note.dataset.when !== state;
    }
    announce(state === "saved"
      ? this.querySelector("template").dataset.announce
      : this.querySelector(`[data-when=${state}]`).textContent);
    const detail = { url: url ?? null };
    this.dispatchEvent(new CustomEvent(`django-async-forms:${state}`, { bubbles: true, detail }));
  }

  // Nobody can say any more what becomes of it: the person may refresh the page.
  expire() {
    pending.delete(this);
    delete this.dataset.live;
    this.removeAttribute("aria-busy");
  }

  async #show(url) {
    const before = this.querySelector(":scope > img, :scope > svg");
    if (!url) return before.remove();
    const image = this.querySelector("template").content.querySelector("img").cloneNode();
    image.loading = "eager";
    image.src = url;
    // It is shown when all of it is there, so that nothing jumps. If it cannot be decoded here,
    // the browser shows what it shows for any such image.
    await image.decode().catch(() => {});
    before.replaceWith(image);
  }
}

function schedule() {
  if (timer || asking || !pending.size || document.hidden) return;
  timer = setTimeout(ask, pause);
  pause = Math.min(pause * GROWTH, LONGEST_PAUSE);
}

async function ask() {
  timer = null;
  asking = true;
  const images = [...pending].slice(0, MAX_TOKENS);
  const answers = await answersFor(images);
  if (answers) {
    await Promise.all(images.map((image) => {
      const answer = answers[image.dataset.token];
      return answer ? image.settle(answer) : image.expire();
    }));
  }
  asking = false;
  schedule();
}

// The answers by token, or nothing if the server could not be asked this time.
async function answersFor(images) {
  try {
    const response = await fetch(images[0].dataset.statusUrl, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ tokens: images.map((image) => image.dataset.token) }),
      credentials: "same-origin",
    });
    if (response.ok) return (await response.json()).images;
    // It will not answer next time either: as if all had expired.
    return response.status < 500 && response.status !== 429 ? {} : null;
  } catch {
    return null;
  }
}

let announcer = null;

// One live region for the page: a hundred would all speak at once.
function announce(text) {
  if (!announcer?.isConnected) {
    announcer = document.createElement("div");
    announcer.className = "async-image-announcer";
    announcer.setAttribute("role", "status");
    document.body.append(announcer);
  }
  announcer.textContent = text;
}

function look() {
  if (document.hidden) {
    clearTimeout(timer);
    timer = null;
  } else {
    pause = FIRST_PAUSE;
    schedule();
  }
}

customElements.define("async-image", AsyncImage);
