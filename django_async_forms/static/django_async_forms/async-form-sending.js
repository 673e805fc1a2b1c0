// Says that a form with an <async-image-input> is being sent, and stops a second press until the answer
// is there. The browser submits the form. Images that are still travelling come first.

const STARTS = ["submit", "turbo:submit-start", "htmx:beforeRequest", "htmx:before:request"];
const ENDS = ["turbo:submit-end", "htmx:afterRequest", "htmx:after:request", "htmx:finally:request",
  "htmx:beforeHistorySave"];

/** @typedef {{event: Event, button: any, isWaiting: boolean, undo: (() => void)[]}} Sending */
/** @type {Map<HTMLFormElement, Sending>} */
const sendings = new Map();

/** @param {any} form @returns {any[]} */
function inputsOf(form) {
  return [...form.getRootNode().querySelectorAll("async-image-input")]
    .filter(({ input }) => input?.form === form);
}

// The form that an event submits, and the button if htmx does it there.
/** @param {any} event @returns {{form?: any, button?: any}} */
function sourceOf({ target, detail }) {
  const { elt = target, verb, triggeringEvent: cause } = detail?.requestConfig ?? {};
  const { sourceElement: source = elt, request, sourceEvent = cause } = detail?.ctx ?? {};
  // Other requests for a form do not submit it: a validation on each change, say.
  if (source instanceof HTMLFormElement) return /^(submit)?$/.test(sourceEvent?.type ?? "") ? { form: source } : {};
  // htmx leaves the form out of a GET.
  const isGet = /^get$/i.test(verb ?? request?.method ?? "get");
  return !isGet && /^(submit|image)$/.test(source.type) ? { form: source.form, button: source } : {};
}

// The form is submitted, by the browser or by a library that asks for the answer itself.
/** @param {any} event */
function start(event) {
  const { submitter, type } = event;
  const { form, button } = sourceOf(event);
  if (!form) return;
  const before = sendings.get(form);
  if (before && (before.isWaiting || !before.event.defaultPrevented)) {
    if (type === "submit") stop(event);
    return;
  }
  const stays = () => {
    // Not form.target: that may be a button of this name.
    const [method, target] = ["method", "target"].map((name) =>
      submitter?.getAttribute(`form${name}`) ?? form.getAttribute(name));
    return /^dialog$/i.test(method)
      || !/^(_self|_parent|_top)?$/i.test(target ?? document.querySelector("base")?.target ?? "");
  };
  const inputs = inputsOf(form);
  if (!inputs.length) return;
  // Another window is blocked when it opens late, so its form does not wait.
  if (stays()) return watchDrafts(form);
  const mayWait = (type === "submit" || button) && !event.defaultPrevented;
  // htmx has collected the form of a button by now.
  if (mayWait && !button) inputs.forEach(({ draft }) => draft?.recheck?.());
  const isWaiting = mayWait && inputs.some(isTravelling);
  /** @type {Sending} */
  const sending = { event, button, isWaiting, undo: [] };
  sendings.set(form, sending);
  if (isWaiting) return wait(form, sending, button ?? submitter);
  // After all listeners, and after the browser has taken the values.
  setTimeout(() => {
    if (sendings.get(form) !== sending) return;
    if (event.defaultPrevented || stays()) {
      sendings.delete(form);
      watchDrafts(form);
    } else {
      const element = inputs.find(({ input }) => input.value) ?? inputs[0];
      element.toggleAttribute("data-busy", true);
      show(form, element, element.dataset.sending, sending.undo);
      // No browser tells that the answer was a file to save, or none (204). At 20 kB/s, it is there by now.
      const timer = setTimeout(finish, 1e4 + bytesOf(form) / 20, form);
      sending.undo.push(() => clearTimeout(timer), () => element.removeAttribute("data-busy"));
    }
  });
}

// Before any other listener: htmx sends a form whose event is only prevented.
/** @param {Event} event */
function stop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

/** @param {any} element */
function isTravelling({ draft, input }) {
  return !!draft?.travelling && !input.matches(":disabled"); // The form leaves that one out.
}

/** @param {HTMLFormElement} form @param {Sending} sending @param {any} submitter */
async function wait(form, sending, submitter) {
  stop(sending.event);
  const first = inputsOf(form).find(isTravelling);
  show(form, first, first.dataset.waiting, sending.undo);
  for (;;) {
    const travelling = inputsOf(form).filter(isTravelling).map(({ draft }) => draft.travelling);
    if (!travelling.length) break;
    const isGoingOn = await Promise.race(travelling);
    if (sendings.get(form) !== sending) return;
    // Whoever cancels an image wants to look at the form again.
    if (!isGoingOn) return finish(form);
  }
  finish(form);
  if (!form.isConnected) return;
  const isThere = submitter?.form === form && submitter.isConnected;
  // So that htmx 2 knows the button: it forgets it when the focus leaves it.
  if (isThere) submitter.dispatchEvent(new FocusEvent("focusin", { bubbles: true }));
  // A script may have disabled the button, which would leave out its name and value.
  const isOff = isThere && submitter.disabled;
  if (isOff) submitter.disabled = false;
  if (sending.button) submitter.click();
  else form.requestSubmit(isThere ? submitter : undefined);
  if (isOff) submitter.disabled = true;
}

// Nothing is disabled: that loses the focus, and lasts where the page stays.
/** @param {HTMLFormElement} form @param {any} element @param {string} text @param {(() => void)[]} undo */
function show(form, element, text, undo) {
  const status = element.find("[role=status]");
  const said = status?.textContent;
  if (status) status.textContent = text; // A template of the project's may lack it.
  undo.push(() => {
    if (status?.textContent === text) status.textContent = said;
  });
  for (const control of controlsOf(form)) {
    if (!/submit|image/.test(control.type)) continue;
    const nodes = [...control.childNodes], value = control.getAttribute("value");
    const isInput = control.localName === "input";
    control.setAttribute("aria-disabled", "true");
    if (isInput) control.value = element.dataset.sending;
    else control.replaceChildren(element.dataset.sending);
    undo.push(() => {
      control.removeAttribute("aria-disabled");
      if (!isInput) control.replaceChildren(...nodes);
      else if (value === null) control.removeAttribute("value");
      else control.value = value;
    });
  }
}

/** @param {HTMLFormElement} form @returns {any[]} */
function controlsOf(form) {
  /** @type {NodeListOf<any>} */
  const controls = /** @type {Document} */ (form.getRootNode()).querySelectorAll("button, input");
  return [...controls].filter((control) => control.form === form);
}

/** @param {HTMLFormElement} form */
function bytesOf(form) {
  return controlsOf(form).flatMap(({ files }) => [...files ?? []]).reduce((sum, { size }) => sum + size, 0);
}

/** @param {HTMLFormElement} form */
function finish(form) {
  const sending = sendings.get(form);
  sending?.undo.forEach((restore) => restore());
  sendings.delete(form);
  if (sending && !sending.isWaiting) setTimeout(verifyDrafts, 0, form);
}

// A form that stays in the page has perhaps claimed its images. Those are sent again with the next one.
/** @param {HTMLFormElement} form */
function verifyDrafts(form) {
  for (const { draft } of inputsOf(form)) draft?.verify?.();
}

/** @param {HTMLFormElement} form */
function watchDrafts(form) {
  for (const { draft } of inputsOf(form)) draft?.watch?.();
}

// A script that collects a form sends it, without submitting it.
/** @param {any} event */
function collect({ target: form }) {
  if (!sendings.has(form)) watchDrafts(form);
}

// A second press. htmx would send the form once more, when the first request has ended.
/** @param {any} event */
function press(event) {
  const button = event.target.closest?.("button, input");
  if (button && sendings.get(button.form)?.button === button) stop(event);
}

/** @param {any} event */
function end(event) {
  const { target, type } = event;
  const source = sourceOf(event);
  for (const [form, { isWaiting }] of sendings) {
    const isKept = type === "htmx:beforeHistorySave" && target.contains(form);
    // htmx 4 also ends the request that is stopped while the form waits.
    const isOver = source.form === form && !isWaiting;
    if (isKept || isOver) finish(form);
  }
}

function endAll() {
  [...sendings.keys()].forEach(finish);
}

// The events of a form in a shadow root do not leave it; that an input is there does.
/** @param {EventTarget} root */
function listen(root) {
  for (const type of STARTS) root.addEventListener(type, start, true);
  for (const type of ENDS) root.addEventListener(type, end, true);
  root.addEventListener("click", press, true);
  root.addEventListener("formdata", collect);
}

// A page that Turbo keeps may load the script of the next deployment too.
/** @type {any} */
const page = window;
if (!page.djangoAsyncFormsSending) {
  page.djangoAsyncFormsSending = true;
  listen(document);
  // The path of the event does not lead into a closed root.
  addEventListener("django-async-forms:connected", (/** @type {any} */ event) => listen(event.detail.root));
  // Stop. Then Back, to a page as it was left.
  page.navigation?.addEventListener("navigateerror", endAll);
  addEventListener("pageshow", ({ persisted }) => persisted && endAll());
}
