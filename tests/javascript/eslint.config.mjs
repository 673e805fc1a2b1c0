// ESLint's recommended rules, and what no script of the package may do: be a second browser, or write markup.

import js from "@eslint/js";
import globals from "globals";

const PACKAGE = "django_async_forms/static/**/*.js";

const NAVIGATION = "The browser submits forms and renders pages; no script imitates that.";
const MARKUP = "A policy with require-trusted-types-for 'script' blocks it, and text may become code. Clone a template.";
const INLINE = "A strict policy blocks it. Use a class, element.style or addEventListener.";

const property = (names, message) => names.map((property) => ({ property, message }));

const forbidden = {
  "no-eval": "error",
  "no-implied-eval": "error",
  "no-new-func": "error",
  "no-script-url": "error",
  "no-restricted-globals": ["error", { name: "XMLHttpRequest", message: NAVIGATION }],
  "no-restricted-properties": [
    "error",
    ...property(["submit", "onpopstate", "pushState", "replaceState", "sendBeacon", "XMLHttpRequest"], NAVIGATION),
    ...property(
      [
        "write",
        "writeln",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "setHTMLUnsafe",
        "parseHTMLUnsafe",
        "parseFromString",
        "createContextualFragment",
        "srcdoc",
      ],
      MARKUP,
    ),
  ],
  "no-restricted-syntax": [
    "error",
    { selector: "Literal[value='popstate']", message: NAVIGATION },
    { selector: "CallExpression[callee.property.name='setAttribute'][arguments.0.value=/^(on|style$)/i]", message: INLINE },
    { selector: "CallExpression[callee.property.name='setAttribute'][arguments.0.value='srcdoc']", message: MARKUP },
  ],
};

// Only the images ask for anything, and only the drafts send anything.
const forbiddenElsewhere = {
  "no-restricted-globals": [
    ...forbidden["no-restricted-globals"],
    { name: "fetch", message: `${NAVIGATION} Only async-image.js and async-image-draft.js do.` },
  ],
};

export default [
  { ignores: ["**/node_modules/", "**/.venvs/", "docs/_build/"] },
  js.configs.recommended,
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: [PACKAGE],
    languageOptions: { globals: globals.browser },
    // A rule holds for all of the package, or it is changed here.
    linterOptions: { noInlineConfig: true },
    rules: { ...forbidden, "prefer-const": "error", eqeqeq: ["error", "always", { null: "ignore" }] },
  },
  { files: [PACKAGE], ignores: ["**/async-image.js", "**/async-image-draft.js"], rules: forbiddenElsewhere },
  { files: ["tests/javascript/*.mjs"], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
  {
    files: ["tests/javascript/forbidden.js"],
    languageOptions: { globals: globals.browser },
    rules: { ...forbidden, ...forbiddenElsewhere },
  },
];
