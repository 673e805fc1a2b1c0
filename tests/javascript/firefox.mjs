// Firefox for tests that are written in Python: reads one call a line from its standard input, as
// {"method": "click", "arguments": ["button"]}, and answers each with a line, {"value": …} or {"error": "…"}.
//
// Usage: node firefox.mjs PATH-OF-FIREFOX [PREFERENCES-AS-JSON]

import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const [executablePath, preferences = "{}"] = process.argv.slice(2);
const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  headless: true,
  timeout: 120_000,
  extraPrefsFirefox: JSON.parse(preferences),
});

let context, page, errors;

const calls = {
  // A new page that shares nothing with those before it.
  async open(address, { cookies = [], ...viewport }) {
    await context?.close();
    context = await browser.createBrowserContext();
    if (cookies.length) await context.setCookie(...cookies);
    page = await context.newPage();
    page.setDefaultTimeout(30_000);
    errors = [];
    // What a policy blocks is an error of the page too.
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.setViewport({ width: 1280, height: 800, ...viewport });
    await page.goto(address);
  },
  // Not goBack(), which waits for a load: a page from the cache of Back and Forward has none.
  back: () => page.evaluate("setTimeout(() => history.back())"),
  choose: async (selector, ...paths) => void (await (await page.$(selector)).uploadFile(...paths)),
  click: async (selector) => void (await page.click(selector)),
  errors: () => errors,
  evaluate: (expression) => page.evaluate(expression),
  press: (key) => page.keyboard.press(key),
  reload: async () => void (await page.reload()),
  type: (selector, text) => page.type(selector, text),
  wait: async (selector, options) => void (await page.waitForSelector(selector, options)),
  waitFor: async (expression) => void (await page.waitForFunction(expression)),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { method, arguments: values } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await calls[method](...values)) ?? null };
  } catch (error) {
    answer = { error: `${method}(${values.join(", ")}): ${error}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
