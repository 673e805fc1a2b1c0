// Sends a file as pages of other projects do, with a client of the tus protocol. Writes one line for each event:
// {"sent": bytes} after each part, and at last {"url": …} or {"error": …}.
//
// Usage: node tus.mjs tus-js-client|uppy OPTIONS-AS-JSON
//
// The options: endpoint, path, name, type, grant, headers, chunkSize (missing: all in one request).

import { readFileSync } from "node:fs";
import Uppy from "@uppy/core";
import Tus from "@uppy/tus";
import * as tus from "tus-js-client";

const [client, options] = process.argv.slice(2);
const { endpoint, path, name, type, grant, headers, chunkSize } = JSON.parse(options);
const data = readFileSync(path);
const retryDelays = [100, 200, 400, 800, 1600, 3200, 3200, 3200, 3200, 3200];

const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
// Both clients quote the answer in the message of the error.
const fail = (error) => tell({ error: String(error) });
const common = { endpoint, headers, retryDelays, ...(chunkSize && { chunkSize }) };

const send = {
  "tus-js-client"() {
    const upload = new tus.Upload(data, {
      ...common,
      metadata: { grant, filename: name, filetype: type },
      onChunkComplete: (_, sent) => tell({ sent }),
      onSuccess: () => tell({ url: upload.url }),
      onError: fail,
    });
    upload.start();
  },
  async uppy() {
    const uppy = new Uppy({ meta: { grant } }).use(Tus, {
      ...common,
      onChunkComplete: (_, sent) => tell({ sent }),
    });
    uppy.addFile({ name, type, data });
    const { successful, failed } = await uppy.upload();
    for (const file of successful) tell({ url: file.uploadURL });
    for (const file of failed) fail(file.error);
    process.exit(); // Its connections would keep the process for five seconds.
  },
};

await send[client]();
