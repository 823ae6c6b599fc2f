// A backend of one's own in front of Safelight: its visitors ask it for pictures and watch them develop.
//
//     SAFELIGHT_URL=http://127.0.0.1:8765 SAFELIGHT_KEY=... PORT=8000 node docs/examples/relay.mjs
//
// It keeps no state: the server remembers every job, so it may be stopped and started while visitors watch.
// Node 20 has a WebSocket behind --experimental-websocket, later versions anyway.

import { createServer } from "node:http";

import { Safelight, SafelightError, isFact } from "../../web/client/index.js";

const { SAFELIGHT_URL = "http://127.0.0.1:8765", SAFELIGHT_KEY = null, PORT = "8000" } = process.env;
const safelight = new Safelight({ url: SAFELIGHT_URL, key: SAFELIGHT_KEY });

/** POST /pictures {"prompt"}: the visitor's own request id makes a repeated click one picture. */
async function make(request, response) {
  const { prompt } = JSON.parse(await textOf(request));
  const params = { prompt, steps: 12, width: 64, height: 64 };
  const job = await safelight.submit(
    { task: "text_to_image", params, labels: { visitor: "anna" } },
    // Its events are asked for by those who watch.
    { idempotencyKey: request.headers["x-request-id"], subscribe: false },
  );
  answer(response, 202, { picture: job.id });
}

/** GET /pictures/ID/events: in one's own words, and only what a visitor is to see. */
async function watch(request, response, id) {
  await find(id);
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  const left = new AbortController();
  response.on("close", () => left.abort());
  // What an EventSource sends by itself when it comes back.
  const after = Number(request.headers["last-event-id"] ?? 0);
  for await (const event of safelight.watch(id, { after, signal: left.signal })) {
    const said = inOurWords(id, event);
    // Facts have an id, from which the browser goes on; hints are lost with the connection, and that is no loss.
    const identifier = isFact(event) ? `id: ${event.seq}\n` : "";
    if (said) response.write(`${identifier}data: ${JSON.stringify(said)}\n\n`);
  }
  response.end();
}

function inOurWords(id, { type, data }) {
  if (type === "step.finished") return { progress: data.progress };
  if (type === "output.ready") return { image: `/pictures/${id}/${data.index}` };
  if (["job.succeeded", "job.failed", "job.cancelled"].includes(type)) return { end: type };
  return null;
}

/** GET /pictures/ID/NUMBER. */
async function show(_request, response, id, number) {
  await find(id);
  const picture = await safelight.api.output(id, Number(number));
  response.writeHead(200, { "Content-Type": picture.type }).end(Buffer.from(await picture.arrayBuffer()));
}

/** The job, if it is this visitor's. */
async function find(id) {
  const job = await safelight.api.job(id);
  if (job.labels.visitor !== "anna") throw new SafelightError("not_found", "not yours", { status: 404 });
  return job;
}

const ROUTES = [
  ["POST", /^\/pictures$/, make],
  ["GET", /^\/pictures\/([\w-]+)\/events$/, watch],
  ["GET", /^\/pictures\/([\w-]+)\/(\d+)$/, show],
];

createServer(async (request, response) => {
  const route = ROUTES.find(([method, path]) => method === request.method && path.test(request.url));
  if (route === undefined) return answer(response, 404, { error: "not_found" });
  const [, path, handle] = route;
  try {
    await handle(request, response, ...path.exec(request.url).slice(1));
  } catch (error) {
    if (response.headersSent) response.end(); // the visitor has left
    else if (!(error instanceof SafelightError)) answer(response, 400, { error: "malformed" });
    else answer(response, error.status ?? 502, { error: error.code, message: error.message });
  }
}).listen(Number(PORT), "127.0.0.1");

const answer = (response, status, value) => {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
};

async function textOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}
