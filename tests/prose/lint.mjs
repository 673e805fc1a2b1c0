// Finds retired words and phrases with textlint: node lint.mjs FILE ..., which run calls.
import { TextlintKernelDescriptor } from "@textlint/kernel";
import { readFileSync } from "node:fs";
import path from "node:path";
import { createLinter } from "textlint";
import prh from "textlint-rule-prh";

const files = process.argv.slice(2);
const GAP = String.raw`(?:[\s#*_]|//)+`;
const PATTERN = /^( +pattern: \/)(.*)(\/i?)$/gm;
const MSGID = /^msgid(?:_plural)? (?:".*"\n)+/gm;

// Patterns match whole words, with any gap between them.
const vocabulary = readFileSync(path.join(import.meta.dirname, "vocabulary.yml"), "utf8").replace(
  PATTERN,
  (_, start, pattern, end) =>
    `${start}(?<![a-zA-Z0-9])(?:${pattern.replaceAll(" ", GAP)})(?![a-zA-Z0-9])${end}`,
);

/** Reads a file as one text, so that a phrase may span two lines; of a translation, the msgids. */
class SourceProcessor {
  availableExtensions() {
    return [...new Set(files.map((file) => path.extname(file)))];
  }

  processor(extension) {
    return {
      preProcess(text) {
        const place = (index) => {
          const before = text.slice(0, index).split("\n");
          return { line: before.length, column: before.at(-1).length };
        };
        const node = (type, start, end, more) => ({
          type,
          raw: text.slice(start, end),
          range: [start, end],
          loc: { start: place(start), end: place(end) },
          ...more,
        });
        const texts =
          extension === ".po"
            ? [...text.matchAll(MSGID)].map((match) => [match.index, match.index + match[0].length])
            : [[0, text.length]];
        const children = texts.map(([start, end]) =>
          node("Paragraph", start, end, {
            children: [node("Str", start, end, { value: text.slice(start, end) })],
          }),
        );
        return node("Document", 0, text.length, { children });
      },
      postProcess: (messages, filePath) => ({ messages, filePath }),
    };
  }
}

const linter = createLinter({
  descriptor: new TextlintKernelDescriptor({
    filterRules: [],
    plugins: [{ pluginId: "source", plugin: { Processor: SourceProcessor } }],
    rules: [{ ruleId: "prh", rule: prh.default ?? prh, options: { ruleContents: [vocabulary] } }],
  }),
});
for (const { filePath, messages } of await linter.lintFiles(files)) {
  for (const { line, message } of messages) {
    const [found, instead] = message.replaceAll(/\s+/g, " ").split(" => ");
    console.log(`${path.relative("", filePath)}:${line}: ${found} → ${instead}`);
    process.exitCode = 1;
  }
}
