// Fills a formset with several images at once: each goes to a form of its own, whose <async-image-input>
// does the rest. Orders the forms too, by dragging and by buttons.
//
// A form has the id of its prefix, "pages-0", and an empty one is in <template id="pages-empty">. The admin
// names them so as well, and makes new ones by a script of its own. Event: "formset:added", as the admin's.

const DRAGGED = ["dragstart", "dragover", "dragleave", "drop", "dragend"];
const TEXT = "textarea, [contenteditable], input:not([type=file], [type=checkbox], [type=radio])";

class AsyncImageFormset extends HTMLElement {
  /** @type {HTMLElement | undefined} */
  #dragged;

  connectedCallback() {
    for (const type of ["change", "click", "formset:added"]) this.addEventListener(type, this);
    // Before the inputs, which take one file each.
    for (const type of [...DRAGGED, "paste"]) this.addEventListener(type, this, true);
    document.addEventListener("formset:removed", this);
    addEventListener("submit", this, true);
    // An input that nothing listens to would lose the images.
    if (this.#chooser) this.#chooser.hidden = false;
    // Firefox restores the number of forms that the page had before Back.
    if (this.#template) this.#count();
    this.#sort();
  }

  disconnectedCallback() {
    document.removeEventListener("formset:removed", this);
    removeEventListener("submit", this, true);
  }

  /** @param {any} event */
  handleEvent(event) {
    const { type, target, detail } = event;
    if (type === "submit") mute([this], false); // From now on, the inputs say what the form waits for.
    else if (type === "change") this.#change(target);
    else if (type === "click") this.#click(target);
    else if (type === "formset:added") this.#label();
    else if (type !== "formset:removed") this.#receive(event);
    else if (detail?.formsetName === this.dataset.prefix) {
      // The admin's script is about to number the forms as they stand. The stored ones must be the first.
      arrange([...this.#forms].sort((one, other) => this.#index(one) - this.#index(other)));
      queueMicrotask(() => this.#sort());
    }
  }

  /** @param {string} selector @returns {any} */
  find(selector) {
    return this.querySelector(selector);
  }

  get #chooser() {
    return this.find(".async-images-chooser");
  }

  get #template() {
    const empty = this.find(`[id="${this.dataset.prefix}-empty"]`);
    return empty instanceof HTMLTemplateElement ? empty : null;
  }

  // As they stand in the page.
  /** @returns {HTMLElement[]} */
  get #forms() {
    /** @type {NodeListOf<HTMLElement>} */
    const all = this.querySelectorAll(`[id^="${this.dataset.prefix}-"]`);
    return [...all].filter((element) => /^\d+$/.test(element.id.slice(`${this.dataset.prefix}-`.length)));
  }

  /** @param {Element} form */
  #index(form) {
    return Number(form.id.slice(`${this.dataset.prefix}-`.length));
  }

  /** @param {string} name */
  #management(name) {
    return this.find(`[name="${this.dataset.prefix}-${name}"]`);
  }

  // Those with an image: stored, sent, kept or chosen. The others are left as they are.
  get #filled() {
    return this.#forms.filter((form) => this.#index(form) < Number(this.#management("INITIAL_FORMS").value)
      || control(form, this.dataset.field)?.value || form.querySelector("async-image-draft [type=hidden]"));
  }

  // A script of the project's may have removed a form, and left the numbers of the others.
  get #next() {
    return Math.max(-1, ...this.#forms.map((form) => this.#index(form))) + 1;
  }

  #count() {
    this.#management("TOTAL_FORMS").value = `${this.#next}`;
  }

  /** @param {any} target */
  #change(target) {
    const form = this.#forms.find((each) => each.contains(target));
    if (this.#chooser?.contains(target)) {
      this.#add([...target.files]);
      target.value = "";
    } else if (form && target === control(form, this.dataset.field)) this.#number();
    // Once the focus is where it goes.
    else if (form && target === control(form, this.dataset.order)) setTimeout(() => this.#sort());
  }

  /** @param {any} target */
  #click(target) {
    const form = this.#forms.find((each) => each.contains(target));
    const button = target.closest("[data-step]");
    if (form && button) this.#move(form, this.#filled.indexOf(form) + Number(button.dataset.step));
    else if (form && target.closest(".async-image-remove")) this.#remove(form);
  }

  // Files that are dropped or pasted anywhere but on an input, or several of them, and forms that are dragged.
  /** @param {any} event */
  #receive(event) {
    const { type, target } = event;
    const transfer = event.dataTransfer ?? event.clipboardData;
    if (type === "dragstart") return this.#drag(target, transfer);
    if (this.#dragged) return this.#dragOver(event);
    const isText = type === "paste" && target.matches?.(TEXT);
    if (!this.#chooser || isText || !transfer?.types.includes("Files")) return;
    const input = target.closest?.("async-image-input");
    this.#chooser.toggleAttribute("data-over", type === "dragover" && !input);
    const isHere = type === "dragover" ? !input : type !== "dragleave" && (!input || transfer.files.length > 1);
    if (!isHere) return;
    stop(event);
    input?.removeAttribute("data-over");
    if (type === "dragover") transfer.dropEffect = "copy";
    else this.#add([...transfer.files]);
  }

  /** @param {any} target @param {DataTransfer} transfer */
  #drag(target, transfer) {
    if (!this.dataset.order || !target.closest?.(".async-image-stage")) return;
    this.#dragged = this.#filled.find((form) => form.contains(target));
    if (!this.#dragged) return;
    transfer.effectAllowed = "move";
    transfer.setData("text/plain", this.#dragged.id); // Firefox drags nothing without data.
  }

  // An image of the page that is dragged is a file, too. So no input may see the event.
  /** @param {any} event */
  #dragOver(event) {
    const { type, target } = event;
    const filled = this.#filled;
    const over = filled.find((form) => form.contains(target) && /dragover|drop/.test(type));
    stop(event);
    for (const form of filled) {
      form.toggleAttribute("data-over", type === "dragover" && form === over && form !== this.#dragged);
    }
    if (type === "drop" && over && this.#dragged) this.#move(this.#dragged, filled.indexOf(over));
    if (/drop|dragend/.test(type)) this.#dragged = undefined;
  }

  /** @param {File[]} files */
  #add(files) {
    /** @type {HTMLElement[]} */
    const forms = [];
    const left = files.filter((file) => {
      const filled = this.#filled;
      const form = this.#forms.find((each) => !filled.includes(each) && !isDeleted(each)) ?? this.#make();
      const input = form && control(form, this.dataset.field);
      if (!input) return true;
      // One announcement for all, in place of several for each.
      mute([form], true);
      fill(input, file);
      forms.push(form);
      return false;
    });
    const { limit, left: named } = this.dataset;
    const names = left.map(({ name }) => name).join(", ");
    this.find(".async-images-error").textContent = left.length ? `${limit} ${write(named, { names })}` : "";
    if (!forms.length) return;
    this.#say(this.dataset.added, { count: forms.length });
    forms[0].closest("details")?.setAttribute("open", "");
    this.#follow(forms);
  }

  /** @param {HTMLElement[]} forms */
  async #follow(forms) {
    /** @type {any[]} */
    const drafts = forms.map((form) => form.querySelector("async-image-draft"));
    await Promise.all(drafts.map((draft) => draft?.travelling));
    mute(forms, false);
    const total = drafts.filter((draft) => draft?.isConnected);
    const sent = total.filter(({ dataset }) => dataset.state === "sent");
    if (sent.length) this.#say(this.dataset.sent, { count: sent.length, total: total.length });
  }

  // Returns a new form, or nothing at the limit.
  #make() {
    const forms = this.#forms;
    const limit = this.#management("MAX_NUM_FORMS").value;
    if (limit && forms.filter((form) => !isDeleted(form)).length >= Number(limit)) return null;
    if (!this.#template) {
      this.find(".add-row a")?.click();
      return this.#forms.find((form) => this.#index(form) === forms.length);
    }
    const form = /** @type {HTMLElement} */ (document.importNode(this.#template.content, true).firstElementChild);
    this.#rename(form, "__prefix__", this.#next);
    this.#template.before(form);
    this.#count();
    const detail = { formsetName: this.dataset.prefix };
    form.dispatchEvent(new CustomEvent("formset:added", { bubbles: true, detail }));
    return form;
  }

  // A stored image is removed by the formset's own checkbox, which can be unticked.
  /** @param {HTMLElement} form */
  #remove(form) {
    const index = this.#index(form);
    const isStored = index < Number(this.#management("INITIAL_FORMS").value);
    if (isStored || this.#forms.length <= Number(this.#management("MIN_NUM_FORMS").value)) return;
    if (this.#template) {
      form.remove();
      const later = this.#forms.filter((each) => this.#index(each) > index);
      // In this order, or two groups of radio buttons would have one name.
      later.sort((one, other) => this.#index(one) - this.#index(other));
      for (const each of later) this.#rename(each, this.#index(each), this.#index(each) - 1);
      this.#count();
    } else /** @type {HTMLElement | null} */ (form.querySelector(".inline-deletelink"))?.click();
    this.find(".async-images-error").textContent = "";
    this.#label();
    this.#chooser?.querySelector("input").focus();
  }

  /** @param {Element} form @param {number | string} from @param {number} to */
  #rename(form, from, to) {
    const { prefix = "" } = this.dataset;
    // Also after the underscore of "id_pages-0-image".
    const old = new RegExp(`(?<![^\\W_])${prefix.replace(/\W/g, "\\$&")}-${from}(?!\\w)`, "g");
    for (const element of [form, ...form.querySelectorAll("*")]) {
      for (const attribute of element.attributes) {
        if (!/^(id|name|for|list|aria-.+)$/.test(attribute.name)) continue;
        attribute.value = attribute.value.replace(old, () => `${prefix}-${to}`);
      }
    }
  }

  /** @param {HTMLElement} form @param {number} to */
  #move(form, to) {
    const filled = this.#filled;
    if (to < 0 || to >= filled.length) return;
    const others = filled.filter((other) => other !== form);
    const forms = [...others.slice(0, to), form, ...others.slice(to)];
    // The numbers stay where they are.
    const numbers = filled.map((each) => control(each, this.dataset.order)?.value ?? "").sort(byNumber);
    forms.forEach((each, place) => {
      const order = control(each, this.dataset.order);
      if (order) order.value = numbers[place];
    });
    arrange(forms);
    this.#number();
    this.#say(this.dataset.position, { count: to + 1, total: filled.length });
  }

  // A form that came back has the order that it was sent with.
  #sort() {
    const { order } = this.dataset;
    if (order) arrange(this.#filled.sort((...two) => byNumber(...two.map((form) => control(form, order)?.value))));
    this.#label();
  }

  // Numbers that are in order already stay, so that few rows change.
  #number() {
    const filled = this.#filled;
    let last = -Infinity;
    for (const form of this.dataset.order ? filled : []) {
      const order = control(form, this.dataset.order);
      if (!order) continue;
      if (order.value === "" || Number(order.value) <= last) order.value = `${Math.max(last, 0) + 1}`;
      last = Number(order.value);
    }
    this.#label();
  }

  // Gives each form with an image the buttons that move it, once.
  #label() {
    const model = this.find("template.async-images-move");
    if (!model || !this.dataset.order) return;
    const filled = this.#filled;
    for (const form of this.#forms) {
      const input = control(form, this.dataset.field)?.closest("async-image-input");
      if (!input) continue;
      if (!form.querySelector("[data-step]")) input.append(document.importNode(model.content, true));
      const place = filled.indexOf(form);
      /** @type {NodeListOf<HTMLElement>} */
      const buttons = form.querySelectorAll("[data-step]");
      for (const button of buttons) {
        const to = place + Number(button.dataset.step);
        button.hidden = place < 0;
        button.setAttribute("aria-disabled", `${to < 0 || to >= filled.length}`);
        button.setAttribute("aria-label", write(button.dataset.label, { number: place + 1 }));
      }
      const stage = input.querySelector(".async-image-stage");
      if (stage) stage.draggable = place >= 0;
    }
  }

  /** @param {string | undefined} text @param {Record<string, number>} values */
  #say(text, values) {
    const status = this.find(".async-images-status");
    if (status) status.textContent = write(text, values);
  }
}

// What has no number comes last.
/** @param {string} [one] @param {string} [other] */
function byNumber(one, other) {
  return Number(one || Infinity) - Number(other || Infinity) || 0;
}

/** @param {Event} event */
function stop(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** @param {Element} form @param {string | undefined} name @returns {any} */
function control(form, name) {
  return form.querySelector(`[name="${form.id}-${name}"]`);
}

/** @param {Element} form */
function isDeleted(form) {
  return !!control(form, "DELETE")?.checked;
}

// As the person would: with the events, for any other script.
/** @param {HTMLInputElement} input @param {File} file */
function fill(input, file) {
  const transfer = new DataTransfer();
  transfer.items.add(file);
  input.files = transfer.files;
  for (const type of ["input", "change"]) input.dispatchEvent(new Event(type, { bubbles: true }));
}

// Moves as few forms as it can. The focus in one that is moved comes back.
/** @param {HTMLElement[]} forms */
function arrange(forms) {
  const focused = /** @type {any} */ (forms[0]?.getRootNode())?.activeElement;
  if (forms.length) forms.reduce((before, form) => {
    const above = form.previousElementSibling;
    // The errors of the form, in the admin's table.
    const rows = above?.matches(".row-form-errors") ? [above, form] : [form];
    if (rows[0].previousElementSibling !== before) before.after(...rows);
    return form;
  });
  focused?.focus();
}

/** @param {HTMLElement[]} forms @param {boolean} isMuted */
function mute(forms, isMuted) {
  for (const form of forms) {
    for (const status of form.querySelectorAll("async-image-draft [role=status]")) {
      if (isMuted) status.setAttribute("aria-live", "off");
      else status.removeAttribute("aria-live");
    }
  }
}

/** @param {string | undefined} text @param {Record<string, number | string>} values */
function write(text = "", values) {
  return text.replace(/{(\w+)}/g, (_, name) => `${values[name]}`);
}

// A page that Turbo keeps may load the script of the next deployment too.
if (!customElements.get("async-image-formset")) customElements.define("async-image-formset", AsyncImageFormset);
