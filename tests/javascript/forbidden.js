// What ESLint must find: each line is excused by name, and an excuse that nothing needs is an error.
// Nothing runs this file.

const form = document.forms[0];
const text = "<b>text</b>";

// A second browser beside the browser
new XMLHttpRequest(); // eslint-disable-line no-restricted-globals
new window.XMLHttpRequest(); // eslint-disable-line no-restricted-properties
fetch(form.action, { method: "POST", body: new FormData(form) }); // eslint-disable-line no-restricted-globals
form.submit(); // eslint-disable-line no-restricted-properties
HTMLFormElement.prototype.submit.call(form); // eslint-disable-line no-restricted-properties
navigator.sendBeacon(form.action); // eslint-disable-line no-restricted-properties
history.pushState(null, "", form.action); // eslint-disable-line no-restricted-properties
addEventListener("popstate", () => {}); // eslint-disable-line no-restricted-syntax
window.onpopstate = () => {}; // eslint-disable-line no-restricted-properties

// Markup from text
document.write(text); // eslint-disable-line no-restricted-properties
form.innerHTML = text; // eslint-disable-line no-restricted-properties
form["outerHTML"] = text; // eslint-disable-line no-restricted-properties
form.insertAdjacentHTML("beforeend", text); // eslint-disable-line no-restricted-properties
form.setHTMLUnsafe(text); // eslint-disable-line no-restricted-properties
new DOMParser().parseFromString(text, "text/html"); // eslint-disable-line no-restricted-properties
document.createRange().createContextualFragment(text); // eslint-disable-line no-restricted-properties

// Text that becomes code
eval(text); // eslint-disable-line no-eval
new Function(text); // eslint-disable-line no-new-func
setTimeout("form.reset()", 1); // eslint-disable-line no-implied-eval
form.action = "javascript:void 0"; // eslint-disable-line no-script-url
form.setAttribute("onsubmit", text); // eslint-disable-line no-restricted-syntax
form.setAttribute("style", text); // eslint-disable-line no-restricted-syntax
