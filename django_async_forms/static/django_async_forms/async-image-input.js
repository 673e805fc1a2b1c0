// A file input that shows the chosen image before it is sent, refuses what the server would refuse,
// and shows how much of the form has travelled. The form works as well without any of it.

class AsyncImageInput extends HTMLElement {
  #address = null;

  // The input itself may not be parsed yet.
  connectedCallback() {
    this.addEventListener("change", this);
    document.addEventListener("submit", submit);
  }

  disconnectedCallback() {
    this.#forget();
  }

  get input() {
    return this.querySelector("input[type=file]");
  }

  get progress() {
    return this.querySelector("progress");
  }

  handleEvent(event) {
    if (event.target !== this.input) return;
    const [file] = this.input.files;
    const reason = file ? this.#refusal(file) : "";
    this.input.setCustomValidity(reason);
    const error = this.querySelector(".async-image-error");
    error.textContent = reason;
    this.input.toggleAttribute("aria-invalid", Boolean(reason));
    this.#preview(reason ? null : file);
  }

  #refusal(file) {
    const { maxBytes, tooLarge, wrongType } = this.dataset;
    if (maxBytes && file.size > Number(maxBytes)) return tooLarge;
    const accepted = this.input.accept.split(",").map((type) => type.trim()).filter(Boolean);
    const fits = accepted.some((type) => type.endsWith("/*")
      ? file.type.startsWith(type.slice(0, -1))
      : file.type === type);
    // A browser that does not know the type leaves it to the server.
    return accepted.length && file.type && !fits ? wrongType : "";
  }

  #preview(file) {
    this.#forget();
    const preview = this.querySelector(".async-image-preview");
    preview.hidden = !file;
    preview.replaceChildren();
    if (!file) return;
    this.#address = URL.createObjectURL(file);
    const image = document.createElement("img");
    image.alt = file.name;
    image.src = this.#address;
    // Not every format that the server takes is one that a browser shows.
    image.addEventListener("error", () => { preview.hidden = true; });
    preview.append(image);
  }

  #forget() {
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = null;
  }
}

// Sends the form with a request that tells how far it is; only where there are bytes to wait for.
function submit(event) {
  const form = event.target;
  const inputs = [...form.querySelectorAll("async-image-input")];
  const sending = inputs.filter((element) => element.input.files.length);
  if (event.defaultPrevented || form.target || !sending.length) return;
  event.preventDefault();
  const request = new XMLHttpRequest();
  const { progress } = sending[0];
  const leave = () => { progress.hidden = true; };
  progress.hidden = false;
  progress.value = 0;
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    progress.max = total;
    progress.value = loaded;
  });
  request.addEventListener("load", () => show(request));
  // The browser's own way says what went wrong.
  request.addEventListener("error", () => {
    leave();
    HTMLFormElement.prototype.submit.call(form);  // Its button may well be named "submit".
  });
  request.addEventListener("abort", leave);
  const action = event.submitter?.getAttribute("formaction") || form.getAttribute("action");
  request.open("POST", action || location.href);
  request.send(new FormData(form, event.submitter));
}

// Puts the page that was answered in the place of this one. It is not asked for again: that would
// lose the messages that it shows once.
function show(request) {
  if (request.responseURL !== location.href) history.pushState(null, "", request.responseURL);
  document.open();
  document.write(request.responseText);
  document.close();
  // Back and forward must load their pages, which this document no longer is.
  addEventListener("popstate", () => location.reload());
}

customElements.define("async-image-input", AsyncImageInput);
