/** The REST surface, call by call. Every call takes an `AbortSignal`, and throws `SafelightError` when refused. */
import type { Rest } from "./rest.js";
import type { Job, JobPage, JobRequest, ModelInfo, ModelList } from "./wire.js";
import type { PictureRecipe, PresetList, ServerInfo, StyleList } from "./wire.js";
export type Abortable = {
    signal?: AbortSignal;
};
export type Upload = {
    id: string;
    /**
     * `upload:ID`, to be given where a job takes a picture
     */
    ref: string;
    name?: string;
    /**
     * found by looking at it
     */
    media_type: string;
    /**
     * upright
     */
    width: number;
    height: number;
    size_bytes: number;
    expires_at: string;
};
export type Readiness = {
    ready: boolean;
    /**
     * why not, if not
     */
    problems: string[];
    engine: {
        status: string;
        device: string;
        live_jobs: number;
        live_bytes: number;
        budget_bytes: number;
    };
    /**
     * waiting jobs by class
     */
    queued: Record<string, number>;
};
export declare class Api {
    #private;
    /** @param {Rest} rest */
    constructor(rest: Rest);
    /**
     * Submit over HTTP; `Safelight.submit` does it over the socket, and again after a break.
     *
     * @param {JobRequest} request
     * @param {Abortable & {idempotencyKey?: string}} [options]
     * @returns {Promise<Job>}
     */
    submit(request: JobRequest, { idempotencyKey, signal }?: Abortable & {
        idempotencyKey?: string;
    }): Promise<Job>;
    /**
     * A page of one's own jobs, newest first.
     *
     * @param {Abortable & {status?: string | readonly string[], task?: string | readonly string[], q?: string,
     *   label?: string, limit?: number, cursor?: string | null}} [options] `q`: words of the prompt. `label`:
     *   `NAME:VALUE`. `cursor`: the `next` of the page before
     * @returns {Promise<JobPage>}
     */
    jobs({ signal, ...query }?: Abortable & {
        status?: string | readonly string[];
        task?: string | readonly string[];
        q?: string;
        label?: string;
        limit?: number;
        cursor?: string | null;
    }): Promise<JobPage>;
    /**
     * @param {string} id
     * @param {Abortable & {waitS?: number}} [options] `waitS`: how long to wait for its end
     * @returns {Promise<Job>}
     */
    job(id: string, { waitS, signal }?: Abortable & {
        waitS?: number;
    }): Promise<Job>;
    /**
     * Ask that a job be cancelled; the event `job.cancelled` says that it was.
     *
     * @param {string} id
     * @param {Abortable} [options]
     * @returns {Promise<Job>}
     */
    cancel(id: string, options?: Abortable): Promise<Job>;
    /**
     * Ask that a running job leave out the image it is at; the event `output.skipped` says that it did.
     *
     * @param {string} id
     * @param {Abortable} [options]
     * @returns {Promise<Job>}
     */
    skip(id: string, options?: Abortable): Promise<Job>;
    /**
     * Remove an ended job with its outputs, for good.
     *
     * @param {string} id
     * @param {Abortable} [options]
     * @returns {Promise<void>}
     */
    forget(id: string, options?: Abortable): Promise<void>;
    /**
     * Where an output is, for an `<img>` on a server without keys.
     *
     * @param {string} id
     * @param {number} number
     * @param {{maxSidePx?: number}} [options] scaled down to this
     */
    outputUrl(id: string, number: number, { maxSidePx }?: {
        maxSidePx?: number;
    }): string;
    /**
     * @param {string} id
     * @param {number} number
     * @param {Abortable & {accept?: string, maxSidePx?: number}} [options] `accept`: media types, e.g. `image/webp`
     * @returns {Promise<Blob>}
     */
    output(id: string, number: number, { accept, maxSidePx, signal }?: Abortable & {
        accept?: string;
        maxSidePx?: number;
    }): Promise<Blob>;
    /**
     * The newest preview of a running job.
     *
     * @param {string} id
     * @param {Abortable} [options]
     * @returns {Promise<Blob>}
     */
    preview(id: string, options?: Abortable): Promise<Blob>;
    /**
     * Many outputs in one ZIP file.
     *
     * @param {readonly (string | {job_id: string, index?: number})[]} outputs ids of jobs, for all
     *   outputs of each, or single ones
     * @param {Abortable} [options]
     * @returns {Promise<Blob>}
     */
    archive(outputs: readonly (string | {
        job_id: string;
        index?: number;
    })[], { signal }?: Abortable): Promise<Blob>;
    /**
     * Store a picture; its `ref` is what a job takes as a picture.
     *
     * @param {Blob} blob
     * @param {Abortable & {name?: string, onProgress?: (sentBytes: number, totalBytes: number) => void}} [options]
     * @returns {Promise<Upload>}
     */
    upload(blob: Blob, { name, signal, onProgress }?: Abortable & {
        name?: string;
        onProgress?: (sentBytes: number, totalBytes: number) => void;
    }): Promise<Upload>;
    /**
     * A picture that was uploaded before.
     *
     * @param {string} id without `upload:`
     * @param {Abortable & {accept?: string}} [options] `accept`: media types; in another format if its own is
     *   none of them
     * @returns {Promise<Blob>}
     */
    uploaded(id: string, { accept, signal }?: Abortable & {
        accept?: string;
    }): Promise<Blob>;
    /**
     * What a picture was made with, as its file says it.
     *
     * @param {Blob} blob
     * @param {Abortable} [options]
     * @returns {Promise<PictureRecipe>}
     */
    recipe(blob: Blob, { signal }?: Abortable): Promise<PictureRecipe>;
    /**
     * @param {Abortable & {kind?: string, task?: string}} [options]
     * @returns {Promise<ModelList>}
     */
    models({ signal, ...query }?: Abortable & {
        kind?: string;
        task?: string;
    }): Promise<ModelList>;
    /**
     * @param {string} name or its `id`
     * @param {Abortable} [options]
     * @returns {Promise<ModelInfo>}
     */
    model(name: string, options?: Abortable): Promise<ModelInfo>;
    /**
     * Load a checkpoint before anybody needs it: a job without outputs.
     *
     * @param {string} name
     * @param {Abortable} [options]
     * @returns {Promise<Job>}
     */
    loadModel(name: string, options?: Abortable): Promise<Job>;
    /**
     * Ask that a model leave memory; `model.unloaded` tells when it did.
     *
     * @param {string} name
     * @param {Abortable} [options]
     * @returns {Promise<ModelInfo>}
     */
    unloadModel(name: string, options?: Abortable): Promise<ModelInfo>;
    /**
     * Have the server download a model file; `model.added` or `model.failed` tells the end.
     *
     * @param {{url: string, kind: string, name?: string, sha256?: string}} wanted
     * @param {Abortable} [options]
     * @returns {Promise<ModelInfo>}
     */
    downloadModel(wanted: {
        url: string;
        kind: string;
        name?: string;
        sha256?: string;
    }, { signal }?: Abortable): Promise<ModelInfo>;
    /**
     * @param {string} name
     * @param {Abortable & {arrived?: "keep" | "discard"}} [options] what becomes of the bytes that are here already
     * @returns {Promise<ModelInfo>}
     */
    cancelDownload(name: string, { arrived, signal }?: Abortable & {
        arrived?: "keep" | "discard";
    }): Promise<ModelInfo>;
    /**
     * The model with its SHA-256, which the server computes if it does not know it.
     *
     * @param {string} name
     * @param {Abortable} [options]
     * @returns {Promise<ModelInfo>}
     */
    hashModel(name: string, options?: Abortable): Promise<ModelInfo>;
    /**
     * @param {Abortable} [options]
     * @returns {Promise<PresetList>}
     */
    presets(options?: Abortable): Promise<PresetList>;
    /**
     * @param {Abortable} [options]
     * @returns {Promise<StyleList>}
     */
    styles(options?: Abortable): Promise<StyleList>;
    /**
     * What the server is, what it has in memory, what waits, and how much it takes.
     *
     * @param {Abortable} [options]
     * @returns {Promise<ServerInfo>}
     */
    server(options?: Abortable): Promise<ServerInfo>;
    /**
     * Whether the server takes work now, and if not, why.
     *
     * @param {Abortable} [options]
     * @returns {Promise<Readiness>}
     */
    ready({ signal }?: Abortable): Promise<Readiness>;
    /**
     * Whether anybody answers, and in which version.
     *
     * @param {Abortable} [options]
     * @returns {Promise<{status: string, version: string, protocol: number}>}
     */
    live({ signal }?: Abortable): Promise<{
        status: string;
        version: string;
        protocol: number;
    }>;
    /**
     * The OpenAPI document.
     *
     * @param {Abortable} [options]
     * @returns {Promise<any>}
     */
    openapi({ signal }?: Abortable): Promise<any>;
    /**
     * The JSON Schema of each task's parameters: ranges, defaults, descriptions.
     *
     * @param {Abortable} [options]
     * @returns {Promise<{tasks: Record<string, any>, schemas: Record<string, any>}>} task -> schema of its
     *   `params`, whose references (`#/components/schemas/NAME`) are to `schemas`
     */
    tasks(options?: Abortable): Promise<{
        tasks: Record<string, any>;
        schemas: Record<string, any>;
    }>;
}
