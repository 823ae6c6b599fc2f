// Programs that call each part of the client's surface once.

import { SafelightError } from "../../../web/client/index.js";
import { listOf, refusal, withClient } from "./watching.js";

const pattern = (params) => ({ task: "test_pattern", params: { steps: 1, width: 16, height: 16, ...params } });

/** A picture to send, drawn by the server: the bytes of an output. */
async function picture(safelight, params = {}) {
  const job = await safelight.submit(pattern(params));
  await job.wait();
  return job.output(0);
}

/** What a refused request, a failed job and a used key are told as. */
export async function refusals(input) {
  return withClient(input, async (safelight) => {
    const failed = await safelight.submit(pattern({ fail_at_step: 1 }));
    const ended = await failed.wait();
    const key = { idempotencyKey: "k" };
    const [first, second] = [await safelight.submit(pattern(), key), await safelight.submit(pattern(), key)];
    return {
      field: await refusal(safelight.submit(pattern({ steps: -1 }))),
      task: await refusal(safelight.submit({ task: "no_such", params: {} })),
      failed: [ended.status, ended.error.code],
      same: first.id === second.id,
      mismatch: await refusal(safelight.submit(pattern({ steps: 2 }), key)),
      missing: await refusal(safelight.api.job("01a1fc7b-8bbe-70b6-ad89-0aa3b642b6c4")),
      status: (await first.wait()).status,
    };
  });
}

/** A seed that no double keeps goes there and back. */
export async function largeSeed({ seed, ...input }) {
  return withClient(input, async (safelight) => {
    const params = { prompt: "a red apple", steps: 1, width: 64, height: 64, seed: BigInt(seed) };
    const job = await safelight.submit({ task: "text_to_image", params });
    const ended = await job.wait();
    const listed = await safelight.api.job(job.id);
    return [ended.outputs[0].seed, listed.params.seed, listed.outputs[0].seed].map(String);
  });
}

/** An upload with its progress; the picture feeds a job, whose output feeds the next. */
export async function pictures({ hasArchive = true, ...input }) {
  return withClient(input, async (safelight) => {
    const blob = await picture(safelight, { width: 256, height: 256 });
    const progress = [];
    const upload = await safelight.api.upload(blob, { name: "a.png", onProgress: (sent, total) => progress.push([sent, total]) });
    const job = await safelight.submit({ task: "upscale", params: { image: upload.ref, factor: 2 } });
    const { outputs } = await job.wait();
    const next = await safelight.submit({ task: "upscale", params: { image: `job:${job.id}/0`, factor: 1.5 } });
    const [last] = (await next.wait()).outputs;
    const archive = await safelight.api.archive([job.id, { job_id: next.id, index: 0 }]);
    return {
      upload,
      sizeBytes: blob.size,
      progress: progress.at(-1) ?? null,
      sizes: [outputs[0].width, last.width],
      uploaded: (await safelight.api.uploaded(upload.id)).size,
      webp: (await safelight.api.output(job.id, 0, { accept: "image/webp" })).type,
      small: (await safelight.api.output(job.id, 0, { maxSidePx: 64 })).size,
      full: (await job.output(0)).size,
      url: safelight.api.outputUrl(job.id, 0, { maxSidePx: 64 }),
      archive: [archive.type, Array.from(new Uint8Array(await archive.arrayBuffer()).slice(0, 2))],
      recipe: await safelight.api.recipe(blob),
    };
  });
}

/** Jobs in pages, by filter, and forgotten. */
export async function listing(input) {
  return withClient(input, async (safelight) => {
    const ids = [];
    for (let index = 0; index < 3; index += 1) {
      const job = await safelight.submit({ ...pattern(), labels: { row: String(index) } }, { subscribe: false });
      ids.push(job.id);
    }
    for (const id of ids) await safelight.api.job(id, { waitS: 10 });
    const first = await safelight.api.jobs({ limit: 2 });
    const rest = await safelight.api.jobs({ limit: 2, cursor: first.next });
    const several = await safelight.api.jobs({ status: ["succeeded", "failed"], task: "test_pattern" });
    const labelled = await safelight.api.jobs({ label: "row:1" });
    await safelight.api.forget(ids[0]);
    return {
      ids,
      pages: [first, rest].map(({ jobs }) => jobs.map(({ id }) => id)),
      hasNext: [first, rest].map(({ next }) => next !== undefined),
      several: several.jobs.length,
      labelled: labelled.jobs.map(({ id }) => id),
      running: (await safelight.api.jobs({ status: "running" })).jobs.length,
      forgotten: (await refusal(safelight.api.job(ids[0]))).code,
    };
  });
}

/** Models loaded and unloaded, and what the server says of itself. */
export async function server(input) {
  return withClient(input, async (safelight) => {
    const { api } = safelight;
    const load = await api.loadModel("fake");
    const loaded = await listOf(safelight.watch(load.id));
    const { tasks, schemas } = await api.tasks();
    return {
      loaded: loaded.at(-1).type,
      isLoaded: (await api.model("checkpoint:fake")).is_loaded,
      kinds: (await api.models({ kind: "checkpoint" })).models.map(({ kind }) => kind),
      unloaded: (await api.unloadModel("fake")).name,
      refusedDownload: (await refusal(api.downloadModel({ url: "ftp://x/y.safetensors", kind: "lora" }))).code,
      cancelledDownload: (await refusal(api.cancelDownload("no/such name"))).code,
      noHash: (await refusal(api.hashModel("no such"))).code,
      presets: (await api.presets()).presets.length,
      styles: (await api.styles()).styles.length,
      ready: (await api.ready()).ready,
      live: (await api.live()).status,
      server: (await api.server()).version,
      tasks: Object.keys(tasks).length,
      steps: tasks.test_pattern.properties.steps.maximum,
      hasEnums: schemas.Priority.enum.length,
    };
  });
}

/** Several outputs, of which one is left out while it is made. */
export async function skipped(input) {
  return withClient(input, async (safelight) => {
    const job = await safelight.submit(pattern({ images: 3, steps: 20, step_ms: 20 }));
    const told = [];
    let asked = false;
    for await (const event of job.events()) {
      if (event.type.startsWith("output.")) told.push([event.type, event.data.index]);
      if (event.type !== "step.finished" || asked) continue;
      asked = true;
      await job.skip();
      const preview = await safelight.api.preview(job.id);
      told.push([preview.type, preview.size > 0]);
    }
    return told;
  });
}

/** What an abort does to each kind of call, and what a closed client answers. */
export async function aborts(input) {
  return withClient(input, async (safelight) => {
    const signal = AbortSignal.abort(new Error("enough"));
    const calls = [
      () => safelight.submit(pattern(), { signal }),
      () => safelight.cancel("x", { signal }),
      () => listOf(safelight.watch("x", { signal })),
      () => listOf(safelight.mine({ signal })),
      () => listOf(safelight.serverEvents({ signal })),
      () => safelight.api.jobs({ signal }),
      () => safelight.api.upload(new Blob(["x"]), { signal, onProgress: () => {} }),
    ];
    const messages = [];
    for (const call of calls) messages.push((await refusal(call())).message);
    const controller = new AbortController();
    const job = await safelight.submit(pattern({ steps: 1000, step_ms: 20 }));
    const waiting = refusal(job.wait({ signal: controller.signal }));
    controller.abort(new Error("no longer"));
    messages.push((await waiting).message);
    await job.cancel();
    const left = refusal(job.wait());
    safelight.close();
    const closed = await left.catch(() => ({ code: "it had ended" }));
    return { messages, closed: [closed.code, (await refusal((async () => safelight.submit(pattern()))())).code] };
  });
}

/** Without a key, with a wrong one and with the right one. */
export async function keys({ key, ...input }) {
  return withClient({ ...input, options: { waitForKey: false } }, async (safelight) => {
    const without = await refusal(safelight.submit(pattern()));
    const rest = await refusal(safelight.api.jobs());
    safelight.setKey("wrong");
    const wrong = await refusal(safelight.submit(pattern()));
    const phase = safelight.connection.phase;
    safelight.setKey("not a token");
    const unfit = await refusal(safelight.submit(pattern()));
    safelight.setKey(key);
    const job = await safelight.submit(pattern());
    const blob = await ((await job.wait()), job.output(0));
    return {
      codes: [without.code, rest.code, wrong.code, unfit.code],
      phases: [phase, safelight.connection.phase],
      isError: without.name === new SafelightError("a", "b").name,
      bytes: blob.size,
    };
  });
}

/** The client as the server gives it to pages, of other origins too. */
export async function fromTheServer({ url }) {
  const { Safelight: Given } = await import(`${url}/web/client/index.js`);
  const safelight = new Given({ url });
  const job = await safelight.submit(pattern());
  const { status } = await job.wait();
  safelight.close();
  return status;
}
