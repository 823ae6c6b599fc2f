// Writes every fact of all one's jobs into a file, once each, however often this program or the server is stopped.
//
//     SAFELIGHT_URL=http://127.0.0.1:8765 SAFELIGHT_KEY=... node docs/examples/ledger.mjs facts.jsonl

import { appendFileSync, readFileSync } from "node:fs";

import { Safelight, isFact } from "../../web/client/index.js";

const { SAFELIGHT_URL = "http://127.0.0.1:8765", SAFELIGHT_KEY = null } = process.env;
const path = process.argv[2];

appendFileSync(path, ""); // there from the beginning
const lines = readFileSync(path, "utf-8").trimEnd().split("\n");
const cursor = lines.at(-1) === "" ? null : JSON.parse(lines.at(-1)).cursor;

const safelight = new Safelight({ url: SAFELIGHT_URL, key: SAFELIGHT_KEY });
try {
  for await (const event of safelight.mine({ cursor })) {
    if (!isFact(event)) continue;
    // What was done with a fact and the cursor after it are one line: neither is ever there without the other.
    const line = { job: event.job_id, seq: event.seq, type: event.type, cursor: event.cursor };
    appendFileSync(path, `${JSON.stringify(line)}\n`);
  }
} catch (error) {
  if (error.code !== "cursor_expired") throw error;
  console.error("away for too long: facts have been removed since; read the jobs there are, and begin anew");
  process.exitCode = 1;
} finally {
  safelight.close();
}
