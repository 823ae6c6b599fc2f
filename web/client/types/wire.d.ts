/** Everything that goes over the wire. Made from protocol/ by `make generate`: changes go there. */

/** A fact: stored, numbered `seq` = 1, 2, 3, ... within its job without a gap, told to everybody. */
interface Fact<Type extends string, Data> {
  type: Type;
  job_id: string;
  seq: number;
  /** UTC, RFC 3339. */
  at: string;
  /** Its place among the facts of all one's jobs; `mine` goes on from there. */
  cursor?: string;
  data: Data;
  attempt?: undefined;
  n?: undefined;
}

/** A hint: not stored; a newer one replaces an older one of the same job and type. */
interface Hint<Type extends string, Data> {
  type: Type;
  job_id: string;
  /** Of the last fact before it. */
  seq: number;
  at: string;
  attempt: number;
  /** Rises within the attempt. */
  n: number;
  data: Data;
  cursor?: undefined;
}

/** A hint of the server's own: of no job. */
interface ServerHint<Type extends string, Data> {
  type: Type;
  at: string;
  n: number;
  data: Data;
  seq: number;
  job_id?: undefined;
  attempt?: undefined;
  cursor?: undefined;
}

/** The job was accepted and stored. Always the first fact. */
export interface JobQueuedEvent extends Fact<"job.queued", JobQueued> {}
/** The executor made the job live. */
export interface JobStartedEvent extends Fact<"job.started", JobStarted> {}
/** A running job went back to the queue; work goes on after the last `output.ready` or `output.skipped`. */
export interface JobRequeuedEvent extends Fact<"job.requeued", JobRequeued> {}
/** An output is on disk, whole. `data` is what the task knows of it beside the file (tags, a score, regions). */
export interface OutputReadyEvent extends Fact<"output.ready", OutputReady> {}
/** A client had an image left out: there will be no output of this number. The job goes on with the next image. */
export interface OutputSkippedEvent extends Fact<"output.skipped", OutputSkipped> {}
/** Something the client asked for had no effect, or less than asked. The job goes on. */
export interface JobWarningEvent extends Fact<"job.warning", JobWarning> {}
/** Terminal: every output is there. */
export interface JobSucceededEvent extends Fact<"job.succeeded", JobSucceeded> {}
/** Terminal: the job ended with an error; outputs that were ready stay. */
export interface JobFailedEvent extends Fact<"job.failed", JobFailed> {}
/** Terminal: the job was cancelled; outputs that were ready stay. */
export interface JobCancelledEvent extends Fact<"job.cancelled", JobCancelled> {}
/** Hint: `position` jobs are ahead; about `eta_s` until this one ends. */
export interface QueueMovedEvent extends Hint<"queue.moved", QueueMoved> {}
/** Hint: step `step` (1-based) of `steps` of image `image` (0-based) is done. */
export interface StepFinishedEvent extends Hint<"step.finished", StepFinished> {}
/** Hint: a throw-away thumbnail of the image as it is now. */
export interface PreviewReadyEvent extends Hint<"preview.ready", PreviewReady> {}
/** Hint, the last of all: an ended job is gone with its facts and pictures; there is nothing left to ask for. */
export interface JobRemovedEvent extends Hint<"job.removed", JobRemoved> {}
/** Server hint: a model is on its way; `done` of `total` bytes in this phase (`download`, `read`, `device`). */
export interface ModelLoadingEvent extends ServerHint<"model.loading", ModelLoading> {}
/** Server hint: a model can be used. */
export interface ModelLoadedEvent extends ServerHint<"model.loaded", ModelLoaded> {}
/** Server hint: a model left memory. */
export interface ModelUnloadedEvent extends ServerHint<"model.unloaded", ModelUnloaded> {}
/** Server hint: a download has ended; the file is whole, checked, and in the models folder. */
export interface ModelAddedEvent extends ServerHint<"model.added", ModelAdded> {}
/** Server hint: a download came to nothing. Asked for again, it goes on where it broke off, if it can. */
export interface ModelFailedEvent extends ServerHint<"model.failed", ModelFailed> {}
/** Server hint: the server will close its sockets soon; reconnect, to `reconnect_to` if it is given. */
export interface ServerDrainingEvent extends ServerHint<"server.draining", ServerDraining> {}

/** What is told of jobs and of the server. A newer server may tell of more. */
export type SafelightEvent =
  JobQueuedEvent |
  JobStartedEvent |
  JobRequeuedEvent |
  OutputReadyEvent |
  OutputSkippedEvent |
  JobWarningEvent |
  JobSucceededEvent |
  JobFailedEvent |
  JobCancelledEvent |
  QueueMovedEvent |
  StepFinishedEvent |
  PreviewReadyEvent |
  JobRemovedEvent |
  ModelLoadingEvent |
  ModelLoadedEvent |
  ModelUnloadedEvent |
  ModelAddedEvent |
  ModelFailedEvent |
  ServerDrainingEvent;

/** Widen a mask, narrow it or turn it round. Always PNG; white repaints. */
export interface AdjustMaskParams {
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  mask: string;
  operation: MaskOperation;
  /** How far its edge moves; without effect on `reverse`. (at least 0, at most 256, by default 5) */
  by_px?: number;
  /** How its corners grow. (by default "disc") */
  shape?: MaskShape;
  /**
   * How light a pixel of the file is that repaints: its luminance, of 255. (at least 0, at most 255, by default
   * 128)
   */
  threshold?: number;
}

export interface AdjustMaskRequest {
  task: "adjust_mask";
  params: AdjustMaskParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** The outputs to be packed, in the order they are to have. */
export interface ArchiveRequest {
  /** At most 1000 of them. */
  outputs: ArchivedOutput[];
}

/** One output, or all that a job has. */
export interface ArchivedOutput {
  job_id: string;
  /** Of the output; without it all outputs of the job. (at least 0) */
  index?: number | null;
}

/** What finds the subject of a picture; `auto` takes the full U2-Net if it is there, else the small one. */
export type BackgroundModel = "auto" | "u2net" | "u2netp" | "u2net_human_seg" | "u2net_cloth_seg" | "silueta" | "isnet-general-use" | "isnet-anime" | "rmbg-1.4" | "rmbg-2.0" | "birefnet-general" | "birefnet-general-lite" | "birefnet-portrait" | "birefnet-dis" | "birefnet-hrsod" | "birefnet-cod" | "birefnet-massive";

/** What `remove_background` gives back: the subject on transparency, or the mask alone. */
export type BackgroundResult = "cutout" | "mask";

/** A BrushNet, and how much it counts. */
export interface BrushNet {
  /** As `/v1/models` lists it. */
  model: string;
  /** How much it counts. (at least 0, at most 2, by default 1.0) */
  scale?: number;
  /** Share of the steps before it begins. (at least 0, at most 1, by default 0.0) */
  start?: number;
  /** Share of the steps after which it ends. (at least 0, at most 1, by default 1.0) */
  end?: number;
}

/** What of a person's clothes is the subject, for the model that knows them. */
export type Clothes = "all" | "upper" | "lower" | "whole";

/** How a picture that is given comes to lie over the output. */
export type ControlFit = "stretch" | "cover";

/** A ControlNet, and the picture it makes the result follow. */
export interface ControlRef {
  /** Share of the steps before it begins. (at least 0, at most 1, by default 0.0) */
  start?: number;
  /** Share of the steps after which it ends. (at least 0, at most 1, by default 1.0) */
  end?: number;
  /** As `/v1/models` lists it. */
  model: string;
  /** Without one it is made of the job's own picture. */
  image?: string | null;
  /** How the control picture is made of the image. (by default "none") */
  preprocess?: Preprocess;
  /** How the image comes to lie over the output. (by default "stretch") */
  fit?: ControlFit;
  /** Fainter edges are none; 100, or 64 for `pyra_canny`. (at least 1, at most 255) */
  canny_low?: number | null;
  /** Stronger ones always are; 200, or 128 for `pyra_canny`. (at least 1, at most 255) */
  canny_high?: number | null;
  /** How much it counts. (at least 0, at most 2, by default 1.0) */
  scale?: number;
}

/** Tags for a picture: what a classifier sees, text, faces and main colours; and a caption, if asked for. */
export interface DescribeParams {
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
  /** photo and anime: with a caption, by a model for it. (by default "tags") */
  style?: DescribeStyle;
  /** At least 1, at most 100, by default 10. */
  max_tags?: number;
  /** Draws the words of a photo's caption. (at least 0, at most 4294967295, by default 0) */
  seed?: number;
}

export interface DescribeRequest {
  task: "describe";
  params: DescribeParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** In which words. */
export type DescribeStyle = "tags" | "photo" | "anime";

/** What the work is done with. */
export interface EngineInfo {
  /** `loading`, `ready`, `stuck`, `failed` or `stopped`. */
  status: string;
  /** `cpu`, `cuda:0`, ...; `none` before it is found. */
  device: string;
  /** Why it cannot work, if it cannot. */
  detail?: string | null;
}

/** Rework a given picture, and repaint what is found in it. See `enhance`, which it needs. */
export interface EnhanceParams {
  /**
   * source: the format of the given picture; jpeg where that is not written, png if none was given. (by default
   * "png")
   */
  format?: OutputFormat;
  /** For JPEG and WebP. (at least 1, at most 100, by default 90) */
  quality?: number;
  /**
   * Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too. (by default
   * false)
   */
  keep_metadata?: boolean;
  /** Write into the file what the picture was made with; PNG, JPEG and WebP. (by default "none") */
  metadata?: MetadataScheme;
  /** Have pictures looked at that might not be safe for work: those that are not become black. (by default false) */
  safety_check?: boolean;
  /** What is done to each picture once it is made. */
  enhance?: Enhancing | null;
  /** A model that takes over for the last steps of an SDXL model. */
  refiner?: string | null;
  /**
   * Share of the noise schedule after which the refiner takes over. (at least 0.01, at most 0.99, by default
   * 0.8)
   */
  refiner_start?: number;
  /** By default "noise". */
  refiner_start_by?: RefinerStart;
  /** How the refiner takes over; by default `separate`, or `vae` for other latents. */
  refiner_swap?: RefinerSwap | null;
  /** Keep more grain and detail; 2 is moderate. Needs guidance. (at least 0, at most 30, by default 0.0) */
  sharpness?: number;
  /** Begin with this weight of guidance where it is less than `guidance_scale`. (at least 1, at most 30) */
  adaptive_guidance?: number | null;
  /** Tell an SDXL model of other original sizes; `{}` as recommended. */
  size_conditioning?: SizeConditioning | null;
  /** How much less ControlNets hold the details than the composition. (at least 0, at most 1, by default 0.0) */
  control_softness?: number;
  /** fooocus: each line is a text of its own; `__wildcards__` and `[[a, b]]` count. (by default "a1111") */
  prompt_syntax?: PromptSyntax;
  /** As `/v1/styles` lists them: words put around the prompts, in this order. (at most 32 of them, by default []) */
  styles?: string[];
  /** Image i takes line i of a wildcard, instead of one drawn by its seed. (by default false) */
  wildcards_in_order?: boolean;
  /** What to see. `(word:1.3)` and `[word]` weigh; BREAK parts. */
  prompt: string;
  /** What not to see; needs a guidance scale above 1. (by default "") */
  negative_prompt?: string;
  /** By default the server's default model. */
  model?: string | null;
  /** A VAE to use instead of the model's own. */
  vae?: string | null;
  /** Laid over the model, as is `<lora:NAME:WEIGHT>` in the prompt. (at most 16 of them, by default []) */
  loras?: LoraRef[];
  /** Weigh the halves of a UNet; `{}` as recommended. */
  freeu?: FreeU | null;
  /** ControlNets, each with a picture. (at most 4 of them, by default []) */
  controls?: ControlRef[];
  /** IP-Adapters, each with a picture taken for a prompt. (at most 4 of them, by default []) */
  image_prompts?: ImagePromptRef[];
  /** How many. (at least 1, at most 64, by default 1) */
  images?: number;
  /** As `/v1/presets` lists it: gives what the request leaves out. */
  preset?: string | null;
  /** A mode of speed: steps, and what few steps need. */
  performance?: Performance | null;
  /** Denoising steps. (at least 1, at most 500) */
  steps?: number | null;
  /** Classifier-free guidance weight; 1 or less is off. (at least 0, at most 100) */
  guidance_scale?: number | null;
  /** The noise scheduler, also called sampler. */
  scheduler?: SchedulerName | null;
  /** How the noise levels are spread over the steps. */
  noise_schedule?: NoiseSchedule | null;
  /** Fresh noise in each step; for `ddim` and `tcd`. (at least 0, at most 1) */
  eta?: number | null;
  /** Without one the server picks; the output tells which. (at least 0) */
  seed?: number | bigint | null;
  /** Image i has the seed `seed` + i; else all have the same. (by default true) */
  vary_seed?: boolean;
  /**
   * Last layers of the text encoder to leave out beside what the family leaves out. (at least -1, at most 11, by
   * default 0)
   */
  clip_skip?: number;
  /** Run every step alone: byte for byte the same file, whatever else runs; slower under load. (by default false) */
  deterministic?: boolean;
  /** Longest side of a preview. (at least 32, at most 1024, by default 256) */
  preview_px?: number;
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
}

export interface EnhanceRequest {
  task: "enhance";
  params: EnhanceParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** A part of a picture: how it is found, by words or as the subject, and how `inpaint` repaints it. */
export interface EnhancedRegion {
  /** Names of things: `face, hand`; all of each are found. */
  text?: string | null;
  /** What is found with a lower score is left out. (at least 0, at most 1, by default 0.3) */
  box_threshold?: number;
  /** Words with a lower score are no part of the label. (at least 0, at most 1, by default 0.25) */
  text_threshold?: number;
  /** At most so many, best first; 0 is all. (at least 0, at most 100, by default 0) */
  max_detections?: number;
  /**
   * Widen the boxes that are searched for objects; below 0, narrow them. (at least -256, at most 256, by default
   * 0)
   */
  grow_box_px?: number;
  /** In the place of a text: the subject, as this model of remove_background finds it. */
  subject?: BackgroundModel | null;
  /** With the subject model `u2net_cloth_seg`: which clothes. (by default "all") */
  clothes?: Clothes;
  /** Cuts out what a text names. (by default "mobile_sam") */
  model?: SegmentModel;
  /** What to see there; empty, the job's own. (by default "") */
  prompt?: string;
  /** What not to see there; empty, the job's own. (by default "") */
  negative_prompt?: string;
  /** As of inpaint, like all that follows. (at least 0, at most 1, by default 1.0) */
  strength?: number;
  /** By default false. */
  full_steps?: boolean;
  /** At least -256, at most 256, by default 0. */
  grow_px?: number;
  /** By default "disc". */
  grow_shape?: MaskShape;
  /** By default false. */
  invert_mask?: boolean;
  /** At least 0, at most 256, by default 4. */
  mask_blur_px?: number;
  /** By default "inside". */
  soft_edge?: SoftEdge;
  /** At least 0, at most 1. */
  context?: number | null;
  upscale_model?: UpscaleModel | null;
  /** By default "original". */
  fill?: Fill;
  start?: Start | null;
  inpaint_patch?: InpaintPatch | null;
}

/** What is done to a picture, one stage after the other. */
export interface Enhancing {
  /** Repainted in this order, each in what the one before left. (at most 10 of them, by default []) */
  regions?: EnhancedRegion[];
  rework?: Rework | null;
  /** Make an output of every stage, not of the last alone. (by default false) */
  keep_stages?: boolean;
}

/** What makes the content of everything that is masked, at once. */
export type EraseModel = "lama" | "anime-lama" | "ldm" | "zits" | "mat" | "fcf" | "manga" | "migan" | "cv2" | "patchmatch";

/** Remove what the mask or the regions cover and fill the hole from the rest of the picture. */
export interface EraseParams {
  /**
   * source: the format of the given picture; jpeg where that is not written, png if none was given. (by default
   * "png")
   */
  format?: OutputFormat;
  /** For JPEG and WebP. (at least 1, at most 100, by default 90) */
  quality?: number;
  /**
   * Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too. (by default
   * false)
   */
  keep_metadata?: boolean;
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
  /** Same size as the image; white (1) is repainted. */
  mask?: string | null;
  /** At most 1000 of them, by default []. */
  regions?: Region[];
  /**
   * auto: patchmatch, or telea for a very thin mask. With the model cv2: telea or navier_stokes. (by default
   * "auto")
   */
  method?: FillMethod;
  /** Widen the mask, so that it covers the object's rim. (at least 0, at most 256, by default 4) */
  grow_px?: number;
  /** Width of the soft edge of the fill; 0 is a hard edge. (at least 0, at most 256, by default 2) */
  feather_px?: number;
  /** At least 0, at most 4294967295, by default 0. */
  seed?: number;
  /** Fill everything masked with this model, at once; without it hole by hole, by `method`. */
  model?: EraseModel | null;
  /** What is not masked keeps its value, whatever a model made. (by default true) */
  keep_unmasked?: boolean;
  /** What a model is shown of a large picture. (by default "crop") */
  hd_strategy?: HdStrategy;
  /** A picture is cropped if its longer side is more than this. (at least 0, at most 16384, by default 800) */
  hd_crop_trigger_px?: number;
  /** What a crop shows on each side of a part of the mask. (at least 0, at most 16384, by default 128) */
  hd_crop_margin_px?: number;
  /**
   * A picture is resized if its longer side is more than this, to this. (at least 1, at most 16384, by default
   * 1280)
   */
  hd_resize_limit_px?: number;
  /**
   * cv2: how far around a pixel its known neighbours count; 0 counts as 1. (at least 0, at most 100, by default
   * 4)
   */
  fill_radius_px?: number;
  /** At least 1, at most 1000, by default 20. */
  ldm_steps?: number;
  /** By default "plms". */
  ldm_sampler?: LdmSampler;
  /** zits: look for straight lines first. (by default true) */
  zits_wireframe?: boolean;
}

export interface EraseRequest {
  task: "erase";
  params: EraseParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** An error inside another message: a socket reply, or the end of a failed job. */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  /** JSONPath of the mistake in what was sent, e.g. $.params.steps. */
  field?: string | null;
}

/** Stable names of what can go wrong. A client may switch on these; messages are for people. */
export type ErrorCode = "malformed" | "invalid_params" | "unknown_task" | "bad_image" | "image_too_large" | "too_large" | "fetch_failed" | "unsupported_media_type" | "not_acceptable" | "method_not_allowed" | "idempotency_mismatch" | "unauthorized" | "forbidden" | "foreign_origin" | "unknown_host" | "model_missing" | "bad_model" | "not_found" | "already_ended" | "not_ended" | "cursor_expired" | "model_exists" | "queue_full" | "draining" | "not_ready" | "internal" | "step_failed" | "step_timeout" | "out_of_memory" | "attempts_exhausted";

/** What restores faces. */
export type FaceModel = "gfpgan" | "restoreformer";

/** What a hole holds before the first step. */
export type Fill = "original" | "blur";

/** How the hole is filled when something is erased. */
export type FillMethod = "auto" | "patchmatch" | "telea" | "navier_stokes";

/** What FreeU multiplies by; what is left out is as recommended for the model's family. */
export interface FreeU {
  /** Backbone features of the first stage. (at least 0.01, at most 4) */
  b1?: number | null;
  /** Backbone features of the second stage. (at least 0.01, at most 4) */
  b2?: number | null;
  /** Skip features of the first stage. (at least 0.01, at most 4) */
  s1?: number | null;
  /** Skip features of the second stage. (at least 0.01, at most 4) */
  s2?: number | null;
}

/** What a model is shown of a picture that is large. */
export type HdStrategy = "original" | "resize" | "crop";

/** An IP-Adapter, and the picture it takes for a prompt. */
export interface ImagePromptRef {
  /** Share of the steps before it begins. (at least 0, at most 1, by default 0.0) */
  start?: number;
  /** Share of the steps after which it ends. (at least 0, at most 1, by default 1.0) */
  end?: number;
  /** As `/v1/models` lists it. */
  model: string;
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
  /** How much it counts. (at least 0, at most 2, by default 1.0) */
  weight?: number;
  /** What of the picture is taken. (by default "picture") */
  kind?: Shown;
  /** How that becomes a square. (by default "crop") */
  fit?: PromptFit;
}

/** Make pictures from a prompt and a picture to start from. */
export interface ImageToImageParams {
  /**
   * source: the format of the given picture; jpeg where that is not written, png if none was given. (by default
   * "png")
   */
  format?: OutputFormat;
  /** For JPEG and WebP. (at least 1, at most 100, by default 90) */
  quality?: number;
  /**
   * Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too. (by default
   * false)
   */
  keep_metadata?: boolean;
  /** Write into the file what the picture was made with; PNG, JPEG and WebP. (by default "none") */
  metadata?: MetadataScheme;
  /** Have pictures looked at that might not be safe for work: those that are not become black. (by default false) */
  safety_check?: boolean;
  /** What is done to each picture once it is made. */
  enhance?: Enhancing | null;
  /** A model that takes over for the last steps of an SDXL model. */
  refiner?: string | null;
  /**
   * Share of the noise schedule after which the refiner takes over. (at least 0.01, at most 0.99, by default
   * 0.8)
   */
  refiner_start?: number;
  /** By default "noise". */
  refiner_start_by?: RefinerStart;
  /** How the refiner takes over; by default `separate`, or `vae` for other latents. */
  refiner_swap?: RefinerSwap | null;
  /** Keep more grain and detail; 2 is moderate. Needs guidance. (at least 0, at most 30, by default 0.0) */
  sharpness?: number;
  /** Begin with this weight of guidance where it is less than `guidance_scale`. (at least 1, at most 30) */
  adaptive_guidance?: number | null;
  /** Tell an SDXL model of other original sizes; `{}` as recommended. */
  size_conditioning?: SizeConditioning | null;
  /** How much less ControlNets hold the details than the composition. (at least 0, at most 1, by default 0.0) */
  control_softness?: number;
  /** fooocus: each line is a text of its own; `__wildcards__` and `[[a, b]]` count. (by default "a1111") */
  prompt_syntax?: PromptSyntax;
  /** As `/v1/styles` lists them: words put around the prompts, in this order. (at most 32 of them, by default []) */
  styles?: string[];
  /** Image i takes line i of a wildcard, instead of one drawn by its seed. (by default false) */
  wildcards_in_order?: boolean;
  /** What to see. `(word:1.3)` and `[word]` weigh; BREAK parts. */
  prompt: string;
  /** What not to see; needs a guidance scale above 1. (by default "") */
  negative_prompt?: string;
  /** By default the server's default model. */
  model?: string | null;
  /** A VAE to use instead of the model's own. */
  vae?: string | null;
  /** Laid over the model, as is `<lora:NAME:WEIGHT>` in the prompt. (at most 16 of them, by default []) */
  loras?: LoraRef[];
  /** Weigh the halves of a UNet; `{}` as recommended. */
  freeu?: FreeU | null;
  /** ControlNets, each with a picture. (at most 4 of them, by default []) */
  controls?: ControlRef[];
  /** IP-Adapters, each with a picture taken for a prompt. (at most 4 of them, by default []) */
  image_prompts?: ImagePromptRef[];
  /** How many. (at least 1, at most 64, by default 1) */
  images?: number;
  /** As `/v1/presets` lists it: gives what the request leaves out. */
  preset?: string | null;
  /** A mode of speed: steps, and what few steps need. */
  performance?: Performance | null;
  /** Denoising steps. (at least 1, at most 500) */
  steps?: number | null;
  /** Classifier-free guidance weight; 1 or less is off. (at least 0, at most 100) */
  guidance_scale?: number | null;
  /** The noise scheduler, also called sampler. */
  scheduler?: SchedulerName | null;
  /** How the noise levels are spread over the steps. */
  noise_schedule?: NoiseSchedule | null;
  /** Fresh noise in each step; for `ddim` and `tcd`. (at least 0, at most 1) */
  eta?: number | null;
  /** Without one the server picks; the output tells which. (at least 0) */
  seed?: number | bigint | null;
  /** Image i has the seed `seed` + i; else all have the same. (by default true) */
  vary_seed?: boolean;
  /**
   * Last layers of the text encoder to leave out beside what the family leaves out. (at least -1, at most 11, by
   * default 0)
   */
  clip_skip?: number;
  /** Run every step alone: byte for byte the same file, whatever else runs; slower under load. (by default false) */
  deterministic?: boolean;
  /** Longest side of a preview. (at least 32, at most 1024, by default 256) */
  preview_px?: number;
  /** Run all steps within that share of the noise schedule, not that share of the steps. (by default false) */
  full_steps?: boolean;
  /** The size where no width and height are given. (by default "picture") */
  size_rule?: SizeRule;
  /** Enlarge it so many times with Real-ESRGAN first. `strength` is then 0.382. (at least 1, at most 8) */
  upscale?: number | null;
  /** The weights for `upscale`; by default `auto`. */
  upscale_model?: UpscaleModel | null;
  /** InstructPix2Pix: how much it stays with the picture; 1.5 by itself. (at least 1, at most 100) */
  image_guidance_scale?: number | null;
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
  /** Share of the noise schedule replayed; 0 changes least. (at least 0, at most 1, by default 0.75) */
  strength?: number;
  /** By default the picture's own. (at least 16, at most 4096) */
  width?: number | null;
  /** At least 16, at most 4096. */
  height?: number | null;
}

export interface ImageToImageRequest {
  task: "image_to_image";
  params: ImageToImageParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** Repaint by the prompt what mask or regions cover, or lies beyond the picture. All else keeps its value. */
export interface InpaintParams {
  /**
   * source: the format of the given picture; jpeg where that is not written, png if none was given. (by default
   * "png")
   */
  format?: OutputFormat;
  /** For JPEG and WebP. (at least 1, at most 100, by default 90) */
  quality?: number;
  /**
   * Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too. (by default
   * false)
   */
  keep_metadata?: boolean;
  /** Write into the file what the picture was made with; PNG, JPEG and WebP. (by default "none") */
  metadata?: MetadataScheme;
  /** Have pictures looked at that might not be safe for work: those that are not become black. (by default false) */
  safety_check?: boolean;
  /** What is done to each picture once it is made. */
  enhance?: Enhancing | null;
  /** A model that takes over for the last steps of an SDXL model. */
  refiner?: string | null;
  /**
   * Share of the noise schedule after which the refiner takes over. (at least 0.01, at most 0.99, by default
   * 0.8)
   */
  refiner_start?: number;
  /** By default "noise". */
  refiner_start_by?: RefinerStart;
  /** How the refiner takes over; by default `separate`, or `vae` for other latents. */
  refiner_swap?: RefinerSwap | null;
  /** Keep more grain and detail; 2 is moderate. Needs guidance. (at least 0, at most 30, by default 0.0) */
  sharpness?: number;
  /** Begin with this weight of guidance where it is less than `guidance_scale`. (at least 1, at most 30) */
  adaptive_guidance?: number | null;
  /** Tell an SDXL model of other original sizes; `{}` as recommended. */
  size_conditioning?: SizeConditioning | null;
  /** How much less ControlNets hold the details than the composition. (at least 0, at most 1, by default 0.0) */
  control_softness?: number;
  /** fooocus: each line is a text of its own; `__wildcards__` and `[[a, b]]` count. (by default "a1111") */
  prompt_syntax?: PromptSyntax;
  /** As `/v1/styles` lists them: words put around the prompts, in this order. (at most 32 of them, by default []) */
  styles?: string[];
  /** Image i takes line i of a wildcard, instead of one drawn by its seed. (by default false) */
  wildcards_in_order?: boolean;
  /** What to see. `(word:1.3)` and `[word]` weigh; BREAK parts. */
  prompt: string;
  /** What not to see; needs a guidance scale above 1. (by default "") */
  negative_prompt?: string;
  /** By default the server's default model. */
  model?: string | null;
  /** A VAE to use instead of the model's own. */
  vae?: string | null;
  /** Laid over the model, as is `<lora:NAME:WEIGHT>` in the prompt. (at most 16 of them, by default []) */
  loras?: LoraRef[];
  /** Weigh the halves of a UNet; `{}` as recommended. */
  freeu?: FreeU | null;
  /** ControlNets, each with a picture. (at most 4 of them, by default []) */
  controls?: ControlRef[];
  /** IP-Adapters, each with a picture taken for a prompt. (at most 4 of them, by default []) */
  image_prompts?: ImagePromptRef[];
  /** How many. (at least 1, at most 64, by default 1) */
  images?: number;
  /** As `/v1/presets` lists it: gives what the request leaves out. */
  preset?: string | null;
  /** A mode of speed: steps, and what few steps need. */
  performance?: Performance | null;
  /** Denoising steps. (at least 1, at most 500) */
  steps?: number | null;
  /** Classifier-free guidance weight; 1 or less is off. (at least 0, at most 100) */
  guidance_scale?: number | null;
  /** The noise scheduler, also called sampler. */
  scheduler?: SchedulerName | null;
  /** How the noise levels are spread over the steps. */
  noise_schedule?: NoiseSchedule | null;
  /** Fresh noise in each step; for `ddim` and `tcd`. (at least 0, at most 1) */
  eta?: number | null;
  /** Without one the server picks; the output tells which. (at least 0) */
  seed?: number | bigint | null;
  /** Image i has the seed `seed` + i; else all have the same. (by default true) */
  vary_seed?: boolean;
  /**
   * Last layers of the text encoder to leave out beside what the family leaves out. (at least -1, at most 11, by
   * default 0)
   */
  clip_skip?: number;
  /** Run every step alone: byte for byte the same file, whatever else runs; slower under load. (by default false) */
  deterministic?: boolean;
  /** Longest side of a preview. (at least 32, at most 1024, by default 256) */
  preview_px?: number;
  /** Run all steps within that share of the noise schedule, not that share of the steps. (by default false) */
  full_steps?: boolean;
  /** A BrushNet, which shows the model what is kept. */
  brushnet?: BrushNet | null;
  /** Bring a mask of another size to that of the image. (by default false) */
  fit_mask?: boolean;
  /** What `grow_px` grows the mask by. (by default "disc") */
  grow_shape?: MaskShape;
  /** Repaint all but the mask; after it was grown. (by default false) */
  invert_mask?: boolean;
  /** At least 0, at most 4096, by default 0. */
  left?: number;
  /** At least 0, at most 4096, by default 0. */
  top?: number;
  /** At least 0, at most 4096, by default 0. */
  right?: number;
  /** At least 0, at most 4096, by default 0. */
  bottom?: number;
  /** Show the model a square around the mask, or this share of both sides if larger. (at least 0, at most 1) */
  context?: number | null;
  /** Enlarge with Real-ESRGAN what is shown to the model, where it is smaller than the model's. */
  upscale_model?: UpscaleModel | null;
  /** What the hole holds before the first step. (by default "original") */
  fill?: Fill;
  /** What the first noise is laid over; by default nothing, below strength 1 the picture. */
  start?: Start | null;
  /** On which side of the mask's edge `mask_blur_px` is. (by default "inside") */
  soft_edge?: SoftEdge;
  /** Lay one of Fooocus' patches for inpainting over an SDXL model. */
  inpaint_patch?: InpaintPatch | null;
  /** InstructPix2Pix: how much it stays with the picture; 1.5 by itself. (at least 1, at most 100) */
  image_guidance_scale?: number | null;
  /** False: the output is what the model made of all it was shown, also outside the mask. (by default true) */
  keep_unmasked?: boolean;
  /** Paint by Example: a picture of what to paint; it needs one. */
  example?: string | null;
  /** PowerPaint: what is to be done. By itself text-guided; in outpaint, outpainting. */
  repaint_task?: RepaintTask | null;
  /** PowerPaint, shape-guided: how closely the mask's shape is followed; 1 by itself. (at least 0, at most 1) */
  fitting_degree?: number | null;
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
  /** Same size as the image; white (1) is repainted. */
  mask?: string | null;
  /** At most 1000 of them, by default []. */
  regions?: Region[];
  /** 1 forgets what was there; less starts from it. (at least 0, at most 1, by default 1.0) */
  strength?: number;
  /** Widen the mask; below 0, narrow it. (at least -256, at most 256, by default 0) */
  grow_px?: number;
  /** Width of the soft edge, inside the mask. (at least 0, at most 256, by default 4) */
  mask_blur_px?: number;
  /** Work on the masked part and its surroundings, in the model's own size. (by default true) */
  crop?: boolean;
  /** Surroundings shown to the model. (at least 0, at most 16384, by default 32) */
  crop_margin_px?: number;
  /** Work on this part alone, and show the model no more; the mask outside it does not count. */
  area?: Region | null;
  /** Show the model what it sees this much smaller. (at least 0.05, at most 1, by default 1.0) */
  scale?: number;
  /** Shift the colours of what was made as the model shifted those of its surroundings. (by default false) */
  match_histograms?: boolean;
}

/** Fooocus' patches that turn an SDXL model into one for inpainting. */
export type InpaintPatch = "v1" | "v2.5" | "v2.6";

export interface InpaintRequest {
  task: "inpaint";
  params: InpaintParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** The present state of a job; what its facts up to `seq` add up to. */
export interface Job {
  id: string;
  task: TaskName;
  status: JobStatus;
  /** Of the last fact this state includes; subscribe with after=seq to go on from here. (at least 1) */
  seq: number;
  /** At least 1. */
  attempt: number;
  priority: Priority;
  previews: Previews;
  /** As submitted, with inline pictures shortened to their hash. */
  params: Record<string, any>;
  labels: Record<string, string>;
  created_at: string;
  started_at?: string | null;
  finished_at?: string | null;
  /** When an ended job, its inputs and outputs are removed. */
  expires_at?: string | null;
  /** By default false. */
  cancel_requested: boolean;
  /** Jobs ahead of this one, while it is queued. (at least 0) */
  position?: number | null;
  /** Estimated seconds until it ends, where one can be made. (at least 0) */
  eta_s?: number | null;
  /** At least 0, at most 1. */
  progress?: number | null;
  /** By default []. */
  outputs: OutputReady[];
  error?: ErrorBody | null;
}

/** Terminal: the job was cancelled; outputs that were ready stay. */
export interface JobCancelled {
  reason: string;
  /** At least 0, by default 0.0. */
  duration_s: number;
}

/** The jobs of all keys that have not ended. */
export interface JobCounts {
  /** At least 0. */
  running: number;
  /** By class: `interactive` and `batch`. */
  waiting: Record<string, number>;
}

/** Terminal: the job ended with an error; outputs that were ready stay. */
export interface JobFailed {
  error: ErrorBody;
  /** At least 0, by default 0.0. */
  duration_s: number;
}

/** One page of a listing, newest first. */
export interface JobPage {
  jobs: Job[];
  /** Pass as `cursor` for the next page; absent on the last one. */
  next?: string | null;
}

/** The job was accepted and stored. Always the first fact. */
export interface JobQueued {
  task: TaskName;
  priority: Priority;
  /** At least 1, by default 1. */
  attempt: number;
}

/** Hint, the last of all: an ended job is gone with its facts and pictures; there is nothing left to ask for. */
export interface JobRemoved {
  reason: string;
}

/** One piece of work: a task, its parameters, and how to run and tell of it. */
export type JobRequest = EraseRequest | RemoveTextRequest | UpscaleRequest | RemoveBackgroundRequest | SegmentRequest | AdjustMaskRequest | RestoreFaceRequest | DescribeRequest | TextToImageRequest | ImageToImageRequest | InpaintRequest | OutpaintRequest | EnhanceRequest | LoadModelRequest | TestPatternRequest;

/** A running job went back to the queue; work goes on after the last `output.ready` or `output.skipped`. */
export interface JobRequeued {
  /** At least 1. */
  attempt: number;
  reason: string;
}

/** The executor made the job live. */
export interface JobStarted {
  worker: string;
  device: string;
  /** At least 1. */
  attempt: number;
}

/** Where a job stands. The last three are for good. */
export type JobStatus = "queued" | "running" | "succeeded" | "failed" | "cancelled";

/** Terminal: every output is there. */
export interface JobSucceeded {
  /** At least 0. */
  duration_s: number;
  timings: Record<string, number>;
}

/** Something the client asked for had no effect, or less than asked. The job goes on. */
export interface JobWarning {
  code: string;
  message: string;
}

/** The key of whoever asks. */
export interface KeyInfo {
  /** False: this server has no keys, and serves its own machine. */
  is_needed: boolean;
  /** What it may do. */
  scopes: string[];
}

/** How the model `ldm` goes from noise to a picture. */
export type LdmSampler = "plms" | "ddim";

/** What one request may ask for. */
export interface Limits {
  max_pixels: number;
  max_upload_bytes: number;
  max_body_bytes: number;
  max_model_bytes: number;
  max_wait_s: number;
  max_queued_jobs: number;
  max_queued_jobs_per_key: number;
  /** How long an ended job is kept. */
  job_ttl_s: number;
  upload_ttl_s: number;
}

/** Load a checkpoint, or find it loaded. It makes no output; its end says that the model can be used. */
export interface LoadModelParams {
  /** As `/v1/models` lists it. */
  model: string;
}

export interface LoadModelRequest {
  task: "load_model";
  params: LoadModelParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** A model in memory. */
export interface LoadedModel {
  /** As `/v1/models` lists it. */
  id: string;
  /** On the device. (at least 0) */
  size_bytes: number;
  /** In the machine's memory, for a GPU. (at least 0) */
  home_bytes: number;
}

/** A model on its way, as the last `model.loading` told. */
export interface LoadingModel {
  id: string;
  /** `download`, `check`, `read` or `device`. */
  phase: string;
  /** At least 0. */
  done: number;
  /** Bytes of this phase, where they are known. (at least 0) */
  total?: number | null;
}

/** A LoRA and how much it counts. */
export interface LoraRef {
  /** As `/v1/models` lists it. */
  name: string;
  /** 0 is without effect. (at least -4, at most 4, by default 1.0) */
  weight?: number;
}

/** What becomes of a mask. */
export type MaskOperation = "expand" | "shrink" | "reverse";

/** What a mask is widened or narrowed by. */
export type MaskShape = "disc" | "box";

/** What is taken, and what may be. */
export interface MemoryInfo {
  /** Weights on the device. (at least 0) */
  models_bytes: number;
  /** For all of them; 0 before the device is found. (at least 0) */
  models_budget_bytes: number;
  /** Weights in the machine's memory that come to a GPU for their calls. (at least 0) */
  home_bytes: number;
  /** What running jobs are expected to take, beside the weights. (at least 0) */
  jobs_bytes: number;
  /** For all of them together. (at least 0) */
  jobs_budget_bytes: number;
}

/** In which words a file says what its picture was made with. */
export type MetadataScheme = "none" | "a1111" | "fooocus";

/** Server hint: a download has ended; the file is whole, checked, and in the models folder. */
export interface ModelAdded {
  model: string;
  /** At least 0. */
  size_bytes: number;
}

/** A model file to be downloaded into the server's models folder. */
export interface ModelDownload {
  url: string;
  /** What it is; a file that turns out to be something else is not kept. */
  kind: ModelKind;
  /** Of the file; by default the URL's last part. */
  name?: string | null;
  /** Checked. PyTorch's own format (.ckpt, .pt, .pth, .bin) needs it. */
  sha256?: string | null;
}

/** How far a download is. */
export interface ModelDownloadState {
  /** At least 0. */
  done_bytes: number;
  /** As soon as it is known. (at least 0) */
  total_bytes?: number | null;
  /** Why it came to nothing; asked for again, it goes on. */
  problem?: string | null;
}

/** Server hint: a download came to nothing. Asked for again, it goes on where it broke off, if it can. */
export interface ModelFailed {
  model: string;
  reason: string;
}

/** One model the server knows, there or not. */
export interface ModelInfo {
  /** Unique among those of its kind; what `model` of a task means. */
  name: string;
  title: string;
  /** Path of its file in the folder it was found in; of a folder none. */
  file?: string | null;
  tasks: TaskName[];
  /** Of the weights; `unknown` where the files do not tell. */
  licence: string;
  /** At least 0. */
  size_bytes: number;
  /**
   * False: it is being downloaded, or `safelight models pull NAME` on the server fetches it; one with the source
   * `published` is fetched by the first job that needs it, if the server downloads.
   */
  is_present: boolean;
  /** `KIND:NAME`, as events have it; of a packaged model its name. */
  id?: string | null;
  /** None: packaged or published, for the tasks it names. */
  kind?: ModelKind | null;
  /** Which denoiser it is, or works with: sd1, sdxl, ... */
  family?: string | null;
  /** Which of the server's folders it was found in. */
  source?: string | null;
  /** It is in memory. (by default false) */
  is_loaded: boolean;
  /** A request that names no model gets this one. (by default false) */
  is_default: boolean;
  /** Why it cannot be used, if something speaks against it. */
  problem?: string | null;
  defaults?: ModelSettings | null;
  /** If it is known; its first ten digits are the hash A1111 shows. */
  sha256?: string | null;
  /** While it is being downloaded, or that failed. */
  download?: ModelDownloadState | null;
}

/** What a model file is for. A refiner is a checkpoint of the family `sdxl_refiner`. */
export type ModelKind = "checkpoint" | "lora" | "vae" | "controlnet" | "brushnet" | "ip_adapter" | "image_encoder" | "upscaler" | "embedding" | "preview_decoder" | "eraser";

/** All models of a server. */
export interface ModelList {
  models: ModelInfo[];
}

/** Server hint: a model can be used. */
export interface ModelLoaded {
  model: string;
  device: string;
  /** At least 0. */
  size_bytes?: number | null;
}

/** Server hint: a model is on its way; `done` of `total` bytes in this phase (`download`, `read`, `device`). */
export interface ModelLoading {
  model: string;
  phase: string;
  /** At least 0, by default 0. */
  done: number;
  /** At least 0. */
  total?: number | null;
}

/** What a request gets that leaves a parameter out. */
export interface ModelSettings {
  /** At least 1. */
  width: number;
  /** At least 1. */
  height: number;
  /** At least 1. */
  steps: number;
  /** At least 0. */
  guidance_scale: number;
}

/** Server hint: a model left memory. */
export interface ModelUnloaded {
  model: string;
  reason: string;
}

/** When all of a picture is reworked. */
export type Moment = "before" | "after";

/** Which noise levels the steps stop at. A request that names none gets the model's own spacing. */
export type NoiseSchedule = "normal" | "karras" | "exponential" | "beta" | "sgm_uniform" | "simple" | "ddim_uniform" | "trailing" | "align_your_steps" | "kl_optimal" | "turbo" | "lcm" | "edm";

/** Enlarge the canvas and paint what lies beyond the picture. The picture itself keeps its pixels. */
export interface OutpaintParams {
  /**
   * source: the format of the given picture; jpeg where that is not written, png if none was given. (by default
   * "png")
   */
  format?: OutputFormat;
  /** For JPEG and WebP. (at least 1, at most 100, by default 90) */
  quality?: number;
  /**
   * Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too. (by default
   * false)
   */
  keep_metadata?: boolean;
  /** Write into the file what the picture was made with; PNG, JPEG and WebP. (by default "none") */
  metadata?: MetadataScheme;
  /** Have pictures looked at that might not be safe for work: those that are not become black. (by default false) */
  safety_check?: boolean;
  /** What is done to each picture once it is made. */
  enhance?: Enhancing | null;
  /** A model that takes over for the last steps of an SDXL model. */
  refiner?: string | null;
  /**
   * Share of the noise schedule after which the refiner takes over. (at least 0.01, at most 0.99, by default
   * 0.8)
   */
  refiner_start?: number;
  /** By default "noise". */
  refiner_start_by?: RefinerStart;
  /** How the refiner takes over; by default `separate`, or `vae` for other latents. */
  refiner_swap?: RefinerSwap | null;
  /** Keep more grain and detail; 2 is moderate. Needs guidance. (at least 0, at most 30, by default 0.0) */
  sharpness?: number;
  /** Begin with this weight of guidance where it is less than `guidance_scale`. (at least 1, at most 30) */
  adaptive_guidance?: number | null;
  /** Tell an SDXL model of other original sizes; `{}` as recommended. */
  size_conditioning?: SizeConditioning | null;
  /** How much less ControlNets hold the details than the composition. (at least 0, at most 1, by default 0.0) */
  control_softness?: number;
  /** fooocus: each line is a text of its own; `__wildcards__` and `[[a, b]]` count. (by default "a1111") */
  prompt_syntax?: PromptSyntax;
  /** As `/v1/styles` lists them: words put around the prompts, in this order. (at most 32 of them, by default []) */
  styles?: string[];
  /** Image i takes line i of a wildcard, instead of one drawn by its seed. (by default false) */
  wildcards_in_order?: boolean;
  /** What to see. `(word:1.3)` and `[word]` weigh; BREAK parts. */
  prompt: string;
  /** What not to see; needs a guidance scale above 1. (by default "") */
  negative_prompt?: string;
  /** By default the server's default model. */
  model?: string | null;
  /** A VAE to use instead of the model's own. */
  vae?: string | null;
  /** Laid over the model, as is `<lora:NAME:WEIGHT>` in the prompt. (at most 16 of them, by default []) */
  loras?: LoraRef[];
  /** Weigh the halves of a UNet; `{}` as recommended. */
  freeu?: FreeU | null;
  /** ControlNets, each with a picture. (at most 4 of them, by default []) */
  controls?: ControlRef[];
  /** IP-Adapters, each with a picture taken for a prompt. (at most 4 of them, by default []) */
  image_prompts?: ImagePromptRef[];
  /** How many. (at least 1, at most 64, by default 1) */
  images?: number;
  /** As `/v1/presets` lists it: gives what the request leaves out. */
  preset?: string | null;
  /** A mode of speed: steps, and what few steps need. */
  performance?: Performance | null;
  /** Denoising steps. (at least 1, at most 500) */
  steps?: number | null;
  /** Classifier-free guidance weight; 1 or less is off. (at least 0, at most 100) */
  guidance_scale?: number | null;
  /** The noise scheduler, also called sampler. */
  scheduler?: SchedulerName | null;
  /** How the noise levels are spread over the steps. */
  noise_schedule?: NoiseSchedule | null;
  /** Fresh noise in each step; for `ddim` and `tcd`. (at least 0, at most 1) */
  eta?: number | null;
  /** Without one the server picks; the output tells which. (at least 0) */
  seed?: number | bigint | null;
  /** Image i has the seed `seed` + i; else all have the same. (by default true) */
  vary_seed?: boolean;
  /**
   * Last layers of the text encoder to leave out beside what the family leaves out. (at least -1, at most 11, by
   * default 0)
   */
  clip_skip?: number;
  /** Run every step alone: byte for byte the same file, whatever else runs; slower under load. (by default false) */
  deterministic?: boolean;
  /** Longest side of a preview. (at least 32, at most 1024, by default 256) */
  preview_px?: number;
  /** Run all steps within that share of the noise schedule, not that share of the steps. (by default false) */
  full_steps?: boolean;
  /** A BrushNet, which shows the model what is kept. */
  brushnet?: BrushNet | null;
  /** Paint by Example: a picture of what to paint; it needs one. */
  example?: string | null;
  /** PowerPaint: what is to be done. By itself text-guided; in outpaint, outpainting. */
  repaint_task?: RepaintTask | null;
  /** PowerPaint, shape-guided: how closely the mask's shape is followed; 1 by itself. (at least 0, at most 1) */
  fitting_degree?: number | null;
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
  /** At least 0, at most 4096, by default 0. */
  left?: number;
  /** At least 0, at most 4096, by default 0. */
  top?: number;
  /** At least 0, at most 4096, by default 0. */
  right?: number;
  /** At least 0, at most 4096, by default 0. */
  bottom?: number;
  /** 1 starts from noise; less from stretched edges. (at least 0, at most 1, by default 1.0) */
  strength?: number;
  /** Rim of the picture that may change, to hide the seam. (at least 0, at most 256, by default 16) */
  overlap_px?: number;
}

export interface OutpaintRequest {
  task: "outpaint";
  params: OutpaintParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** The file format of an output picture. */
export type OutputFormat = "png" | "jpeg" | "webp" | "source";

/**
 * An output is on disk, whole. `data` is what the task knows of it beside the file (tags, a score, regions).
 * `public_url` is where a copy can be had without a key, where the server's operator has outputs copied.
 */
export interface OutputReady {
  /** At least 0. */
  index: number;
  url: string;
  media_type: string;
  /** At least 0. */
  size_bytes: number;
  sha256: string;
  /** At least 1. */
  width?: number | null;
  /** At least 1. */
  height?: number | null;
  /** At least 0. */
  seed?: number | null;
  timings: Record<string, number>;
  data?: Record<string, any> | null;
  public_url?: string | null;
}

/** A client had an image left out: there will be no output of this number. The job goes on with the next image. */
export interface OutputSkipped {
  /** At least 0. */
  index: number;
}

/** Modes of speed. */
export type Performance = "quality" | "speed" | "extreme_speed" | "lightning" | "hyper_sd";

/** What was found in a picture's file. */
export interface PictureRecipe {
  /** None: it says nothing that could be read. */
  scheme?: RecipeScheme | null;
  /** As it lies in the file. */
  text?: string | null;
  recipe?: Recipe | null;
}

/** A click in the pixels of the upright picture, origin top left. */
export interface Point {
  /** At least 0, at most 16384. */
  x: number;
  /** At least 0, at most 16384. */
  y: number;
  /** True: this belongs to the object. False: this does not. (by default true) */
  include?: boolean;
}

/** What a control picture is made of another picture by. */
export type Preprocess = "none" | "canny" | "pyra_canny" | "cpds" | "depth" | "openpose" | "inpaint";

/** One preset a server knows. */
export interface PresetInfo {
  /** What `preset` of a task means. */
  name: string;
  /** packaged, or files: of the server's folders. */
  source: string;
  /** The parameters it gives, where a task has them. */
  params: Record<string, any>;
  /** Checkpoints it would have; the first that is there is taken. (by default []) */
  models: string[];
  /** What it says that this server has no use for. (by default []) */
  unused: string[];
  /** Why it cannot be used, if something speaks against it. */
  problem?: string | null;
}

/** All presets of a server. */
export interface PresetList {
  presets: PresetInfo[];
}

/** Hint: a throw-away thumbnail of the image as it is now. */
export interface PreviewReady {
  /** At least 0. */
  image: number;
  /** At least 0. */
  step: number;
  /** At least 1. */
  width: number;
  /** At least 1. */
  height: number;
  media_type: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Which previews a job makes: none at all, throttled, or one for every step that has one. */
export type Previews = "none" | "latest" | "all";

/** How urgent a job is among the others of its class. */
export type Priority = "high" | "normal" | "low";

/** An RFC 9457 problem document (`application/problem+json`), with our stable `code`. */
export interface Problem {
  /** A relative reference to the documentation of this code. */
  type: string;
  title: string;
  /** At least 400, at most 599. */
  status: number;
  detail: string;
  code: ErrorCode;
  field?: string | null;
}

/** How a picture comes to be the square that an image encoder looks at. */
export type PromptFit = "crop" | "squash";

/** What the signs in a prompt mean. */
export type PromptSyntax = "a1111" | "fooocus";

/** Hint: `position` jobs are ahead; about `eta_s` until this one ends. */
export interface QueueMoved {
  /** At least 0. */
  position: number;
  /** At least 0. */
  eta_s?: number | null;
}

/** See the module. Models are named by the stems of their files; hashes are as those of LoRAs. */
export interface Recipe {
  /** As it was asked for. */
  prompt?: string | null;
  negative_prompt?: string | null;
  /** The texts it had become. (by default []) */
  full_prompt: string[];
  /** By default []. */
  full_negative_prompt: string[];
  prompt_expansion?: string | null;
  /** By default []. */
  styles: string[];
  seed?: number | null;
  width?: number | null;
  height?: number | null;
  steps?: number | null;
  guidance_scale?: number | null;
  /** As `scheduler` of a request, if it is a sampler known here. */
  scheduler?: string | null;
  /** As `noise_schedule` of a request, if it is known here. */
  noise_schedule?: string | null;
  /** As `performance` of a request, if it is a mode known here. */
  performance?: string | null;
  sharpness?: number | null;
  adaptive_guidance?: number | null;
  size_conditioning?: UsedSizeConditioning | null;
  freeu?: UsedFreeU | null;
  /** Which layer of the text encoder was read; 1 is the last. */
  clip_layer?: number | null;
  model?: string | null;
  model_hash?: string | null;
  vae?: string | null;
  /** By default []. */
  loras: UsedLora[];
  refiner?: string | null;
  refiner_hash?: string | null;
  refiner_start?: number | null;
  refiner_swap?: string | null;
  /** What enlarged it, if a network did and nothing was made anew. */
  upscaler?: string | null;
  upscale_factor?: number | null;
  /** Which program in which version. */
  made_by?: string | null;
}

/** In which words a file says it. */
export type RecipeScheme = "a1111" | "fooocus";

/** What `refiner_start` is a share of. */
export type RefinerStart = "noise" | "steps";

/** What is handed from the first model to the refiner. */
export type RefinerSwap = "joint" | "separate" | "vae";

/** A rectangle in the pixels of the upright picture, origin top left; parts outside the picture are cut off. */
export interface Region {
  /** At least -16384, at most 16384. */
  x: number;
  /** At least -16384, at most 16384. */
  y: number;
  /** At least 1, at most 16384. */
  width: number;
  /** At least 1, at most 16384. */
  height: number;
}

/** Cut the subject out. */
export interface RemoveBackgroundParams {
  /**
   * source: the format of the given picture; jpeg where that is not written, png if none was given. (by default
   * "png")
   */
  format?: OutputFormat;
  /** For JPEG and WebP. (at least 1, at most 100, by default 90) */
  quality?: number;
  /**
   * Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too. (by default
   * false)
   */
  keep_metadata?: boolean;
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
  /** By default "auto". */
  model?: BackgroundModel;
  /** By default "cutout". */
  result?: BackgroundResult;
  /** With `u2net_cloth_seg`: which clothes are the subject. (by default "all") */
  clothes?: Clothes;
}

export interface RemoveBackgroundRequest {
  task: "remove_background";
  params: RemoveBackgroundParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** Remove writing: in the given regions, or wherever it is found. Masks follow the strokes of the letters. */
export interface RemoveTextParams {
  /**
   * source: the format of the given picture; jpeg where that is not written, png if none was given. (by default
   * "png")
   */
  format?: OutputFormat;
  /** For JPEG and WebP. (at least 1, at most 100, by default 90) */
  quality?: number;
  /**
   * Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too. (by default
   * false)
   */
  keep_metadata?: boolean;
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
  /** Where the writing is; without it, text is searched for. (at most 1000 of them) */
  regions?: Region[] | null;
  /** mask: only find it; the output is the mask of what would be filled. (by default "picture") */
  result?: TextResult;
  /** Found text below this recognition score stays. (at least 0, at most 1, by default 0.8) */
  min_confidence?: number;
  /** By default "auto". */
  method?: FillMethod;
  /** Widen the strokes; by default 12 % of the text height. (at least 0, at most 256) */
  grow_px?: number | null;
  /** At least 0, at most 256, by default 1. */
  feather_px?: number;
  /** At least 0, at most 4294967295, by default 0. */
  seed?: number;
}

export interface RemoveTextRequest {
  task: "remove_text";
  params: RemoveTextParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** What a PowerPaint model is to do with the hole. */
export type RepaintTask = "text-guided" | "context-aware" | "shape-guided" | "object-remove" | "outpainting";

/** The server's answer to one client message. */
export interface Reply {
  /** By default "reply". */
  type: "reply";
  ref?: string | null;
  ok: boolean;
  job?: Job | null;
  /** Answer to jobs=mine: where the subscription begins. */
  cursor?: string | null;
  error?: ErrorBody | null;
}

/** How the enlarged picture is brought to the size asked for. */
export type Resampling = "area" | "lanczos";

/** Make faces sharp and whole again that are small, blurred or damaged. */
export interface RestoreFaceParams {
  /**
   * source: the format of the given picture; jpeg where that is not written, png if none was given. (by default
   * "png")
   */
  format?: OutputFormat;
  /** For JPEG and WebP. (at least 1, at most 100, by default 90) */
  quality?: number;
  /**
   * Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too. (by default
   * false)
   */
  keep_metadata?: boolean;
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
  /** By default "gfpgan". */
  model?: FaceModel;
  /** Faces found with less stay as they are. (at least 0.05, at most 1, by default 0.5) */
  min_confidence?: number;
  /** Clean the rest of the picture with Real-ESRGAN. (by default false) */
  enhance_background?: boolean;
  /** Which weights clean the rest. (by default "auto") */
  background_model?: UpscaleModel;
}

export interface RestoreFaceRequest {
  task: "restore_face";
  params: RestoreFaceParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** All of a picture made anew, as `image_to_image` does it, or enlarged. */
export interface Rework {
  /** By default "before". */
  when?: Moment;
  /** Which it follows. (by default "own") */
  prompts?: ReworkPrompt;
  /** By default 0.5, with an upscale 0.382. (at least 0, at most 1) */
  strength?: number | null;
  /** As of image_to_image, like all that follows. (by default false) */
  full_steps?: boolean;
  /** By default "picture". */
  size_rule?: SizeRule;
  /** At least 1, at most 8. */
  upscale?: number | null;
  upscale_model?: UpscaleModel | null;
  /** False: enlarged, and not made anew. (by default true) */
  redraw?: boolean;
}

/** Which prompts a rework follows. */
export type ReworkPrompt = "own" | "last_region";

/** Samplers ("schedulers" in diffusers). A request that names none gets the model's own. */
export type SchedulerName = "euler" | "euler_ancestral" | "heun" | "heunpp2" | "dpm_2" | "dpm_2_ancestral" | "lms" | "dpm_fast" | "dpm_adaptive" | "dpmpp_2s_ancestral" | "dpmpp_sde" | "dpmpp_2m" | "dpmpp_2m_sde" | "dpmpp_2m_sde_heun" | "dpmpp_3m_sde" | "ddim" | "ddpm" | "pndm" | "uni_pc" | "uni_pc_bh2" | "deis" | "lcm" | "tcd" | "restart" | "flow_euler" | "flow_heun";

/** Which network finds the object. All but `mobile_sam` are published files, fetched when first needed. */
export type SegmentModel = "mobile_sam" | "sam_vit_b" | "sam_vit_l" | "sam_vit_h" | "sam_hq_vit_b" | "sam_hq_vit_l" | "sam_hq_vit_h" | "sam2_tiny" | "sam2_small" | "sam2_base" | "sam2_large" | "sam2_1_tiny" | "sam2_1_small" | "sam2_1_base" | "sam2_1_large";

/** Masks of objects (Segment Anything) under clicks, in a box or named by words. Always PNG; white is an object. */
export interface SegmentParams {
  /** Names of things: `face, hand`; all of each are found. */
  text?: string | null;
  /** What is found with a lower score is left out. (at least 0, at most 1, by default 0.3) */
  box_threshold?: number;
  /** Words with a lower score are no part of the label. (at least 0, at most 1, by default 0.25) */
  text_threshold?: number;
  /** At most so many, best first; 0 is all. (at least 0, at most 100, by default 0) */
  max_detections?: number;
  /**
   * Widen the boxes that are searched for objects; below 0, narrow them. (at least -256, at most 256, by default
   * 0)
   */
  grow_box_px?: number;
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
  /** At most 64 of them, by default []. */
  points?: Point[];
  box?: Region | null;
  /** How many alternative masks, best first; not with a text. (at least 1, at most 3, by default 1) */
  count?: number;
  /** With a text: one mask of all that is found. Else one for each. (by default true) */
  together?: boolean;
  /** By default "mobile_sam". */
  model?: SegmentModel;
}

export interface SegmentRequest {
  task: "segment";
  params: SegmentParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** Server hint: the server will close its sockets soon; reconnect, to `reconnect_to` if it is given. */
export interface ServerDraining {
  reconnect_to?: string | null;
}

/** A server, at this moment. */
export interface ServerInfo {
  version: string;
  protocol: number;
  started_at: string;
  key: KeyInfo;
  engine: EngineInfo;
  memory: MemoryInfo;
  loaded: LoadedModel[];
  loading: LoadingModel[];
  jobs: JobCounts;
  tasks: TaskName[];
  limits: Limits;
  /** Model files can be downloaded, by keys with `models:write`. */
  allows_downloads: boolean;
}

/** What of a picture is taken for a prompt. */
export type Shown = "picture" | "face";

/** What SDXL is told of the original size of the picture, over the size it works at. */
export interface SizeConditioning {
  /** For the prompt; above 1 asks for fine detail. (at least 0.1, at most 3, by default 1.5) */
  positive?: number;
  /** For the negative prompt. (at least 0.1, at most 3, by default 0.8) */
  negative?: number;
  /** Share of the noise schedule after which it ends. (at least 0, at most 1, by default 0.3) */
  end?: number;
}

/** Which size a picture is brought to that nobody gave a size for. */
export type SizeRule = "picture" | "model";

/** On which side of the mask's edge what was made fades into the picture. */
export type SoftEdge = "inside" | "outside";

/** What the noise of the first step is laid over. */
export type Start = "picture" | "noise";

/** Hint: step `step` (1-based) of `steps` of image `image` (0-based) is done. */
export interface StepFinished {
  /** At least 0. */
  image: number;
  /** At least 0. */
  step: number;
  /** At least 0. */
  steps: number;
  /** At least 0, at most 1. */
  progress: number;
  /** At least 0. */
  eta_s?: number | null;
  stage?: string | null;
}

/** One style a server knows. */
export interface StyleInfo {
  /** What `styles` of a task means. */
  name: string;
  /** built_in, packaged, or files: of the server's folders. */
  source: string;
  /** Its template; `{prompt}` in it stands for the prompt. */
  prompt?: string | null;
  /** What it adds to the negative prompt. */
  negative_prompt?: string | null;
}

/** All styles of a server. */
export interface StyleList {
  styles: StyleInfo[];
}

/** The kinds of work there are. */
export type TaskName = "erase" | "remove_text" | "upscale" | "remove_background" | "segment" | "adjust_mask" | "restore_face" | "describe" | "text_to_image" | "image_to_image" | "inpaint" | "outpaint" | "enhance" | "load_model" | "test_pattern";

/** Draw a deterministic pattern in steps: for trying a client, an installation or a load without any model. */
export interface TestPatternParams {
  /**
   * source: the format of the given picture; jpeg where that is not written, png if none was given. (by default
   * "png")
   */
  format?: OutputFormat;
  /** For JPEG and WebP. (at least 1, at most 100, by default 90) */
  quality?: number;
  /**
   * Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too. (by default
   * false)
   */
  keep_metadata?: boolean;
  /** At least 8, at most 4096, by default 256. */
  width?: number;
  /** At least 8, at most 4096, by default 256. */
  height?: number;
  /** At least 1, at most 64, by default 1. */
  images?: number;
  /** Steps per image; 0 finishes at once. (at least 0, at most 1000, by default 4) */
  steps?: number;
  /** How long a step holds the device. (at least 0, at most 10000, by default 0) */
  step_ms?: number;
  /** At least 0, at most 4294967295, by default 0. */
  seed?: number;
  /** Raise in this step, to try error handling. (at least 1, at most 1000) */
  fail_at_step?: number | null;
}

export interface TestPatternRequest {
  task: "test_pattern";
  params?: TestPatternParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** What `remove_text` gives back: the picture without its writing, or the mask of the writing alone. */
export type TextResult = "picture" | "mask";

/** Make pictures from a prompt. */
export interface TextToImageParams {
  /**
   * source: the format of the given picture; jpeg where that is not written, png if none was given. (by default
   * "png")
   */
  format?: OutputFormat;
  /** For JPEG and WebP. (at least 1, at most 100, by default 90) */
  quality?: number;
  /**
   * Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too. (by default
   * false)
   */
  keep_metadata?: boolean;
  /** Write into the file what the picture was made with; PNG, JPEG and WebP. (by default "none") */
  metadata?: MetadataScheme;
  /** Have pictures looked at that might not be safe for work: those that are not become black. (by default false) */
  safety_check?: boolean;
  /** What is done to each picture once it is made. */
  enhance?: Enhancing | null;
  /** A model that takes over for the last steps of an SDXL model. */
  refiner?: string | null;
  /**
   * Share of the noise schedule after which the refiner takes over. (at least 0.01, at most 0.99, by default
   * 0.8)
   */
  refiner_start?: number;
  /** By default "noise". */
  refiner_start_by?: RefinerStart;
  /** How the refiner takes over; by default `separate`, or `vae` for other latents. */
  refiner_swap?: RefinerSwap | null;
  /** Keep more grain and detail; 2 is moderate. Needs guidance. (at least 0, at most 30, by default 0.0) */
  sharpness?: number;
  /** Begin with this weight of guidance where it is less than `guidance_scale`. (at least 1, at most 30) */
  adaptive_guidance?: number | null;
  /** Tell an SDXL model of other original sizes; `{}` as recommended. */
  size_conditioning?: SizeConditioning | null;
  /** How much less ControlNets hold the details than the composition. (at least 0, at most 1, by default 0.0) */
  control_softness?: number;
  /** fooocus: each line is a text of its own; `__wildcards__` and `[[a, b]]` count. (by default "a1111") */
  prompt_syntax?: PromptSyntax;
  /** As `/v1/styles` lists them: words put around the prompts, in this order. (at most 32 of them, by default []) */
  styles?: string[];
  /** Image i takes line i of a wildcard, instead of one drawn by its seed. (by default false) */
  wildcards_in_order?: boolean;
  /** What to see. `(word:1.3)` and `[word]` weigh; BREAK parts. */
  prompt: string;
  /** What not to see; needs a guidance scale above 1. (by default "") */
  negative_prompt?: string;
  /** By default the server's default model. */
  model?: string | null;
  /** A VAE to use instead of the model's own. */
  vae?: string | null;
  /** Laid over the model, as is `<lora:NAME:WEIGHT>` in the prompt. (at most 16 of them, by default []) */
  loras?: LoraRef[];
  /** Weigh the halves of a UNet; `{}` as recommended. */
  freeu?: FreeU | null;
  /** ControlNets, each with a picture. (at most 4 of them, by default []) */
  controls?: ControlRef[];
  /** IP-Adapters, each with a picture taken for a prompt. (at most 4 of them, by default []) */
  image_prompts?: ImagePromptRef[];
  /** How many. (at least 1, at most 64, by default 1) */
  images?: number;
  /** As `/v1/presets` lists it: gives what the request leaves out. */
  preset?: string | null;
  /** A mode of speed: steps, and what few steps need. */
  performance?: Performance | null;
  /** Denoising steps. (at least 1, at most 500) */
  steps?: number | null;
  /** Classifier-free guidance weight; 1 or less is off. (at least 0, at most 100) */
  guidance_scale?: number | null;
  /** The noise scheduler, also called sampler. */
  scheduler?: SchedulerName | null;
  /** How the noise levels are spread over the steps. */
  noise_schedule?: NoiseSchedule | null;
  /** Fresh noise in each step; for `ddim` and `tcd`. (at least 0, at most 1) */
  eta?: number | null;
  /** Without one the server picks; the output tells which. (at least 0) */
  seed?: number | bigint | null;
  /** Image i has the seed `seed` + i; else all have the same. (by default true) */
  vary_seed?: boolean;
  /**
   * Last layers of the text encoder to leave out beside what the family leaves out. (at least -1, at most 11, by
   * default 0)
   */
  clip_skip?: number;
  /** Run every step alone: byte for byte the same file, whatever else runs; slower under load. (by default false) */
  deterministic?: boolean;
  /** Longest side of a preview. (at least 32, at most 1024, by default 256) */
  preview_px?: number;
  /** At least 16, at most 4096. */
  width?: number | null;
  /** At least 16, at most 4096. */
  height?: number | null;
}

export interface TextToImageRequest {
  task: "text_to_image";
  params: TextToImageParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** Which Real-ESRGAN weights upscale; `auto` takes the compact ones on a CPU and x4plus on a GPU. */
export type UpscaleModel = "auto" | "compact" | "general" | "x4plus" | "x4plus-anime";

/** Enlarge with Real-ESRGAN, tile by tile. */
export interface UpscaleParams {
  /**
   * source: the format of the given picture; jpeg where that is not written, png if none was given. (by default
   * "png")
   */
  format?: OutputFormat;
  /** For JPEG and WebP. (at least 1, at most 100, by default 90) */
  quality?: number;
  /**
   * Write the resolution, colour profile, EXIF and PNG text `parameters` of the given picture too. (by default
   * false)
   */
  keep_metadata?: boolean;
  /** Write into the file what the picture was made with; PNG, JPEG and WebP. (by default "none") */
  metadata?: MetadataScheme;
  /** Have pictures looked at that might not be safe for work: those that are not become black. (by default false) */
  safety_check?: boolean;
  /** A picture: base64, a data URL, an http(s) URL, `upload:ID`, or an earlier output, `job:ID/N`. */
  image: string;
  /**
   * Output size over input size; need not be whole. The size is rounded down. (at least 0.05, at most 8, by
   * default 2.0)
   */
  factor?: number;
  /** By default "auto". */
  model?: UpscaleModel;
  /** From four times the size to the size asked for. (by default "area") */
  resampling?: Resampling;
  /** Side of a tile in input pixels; chosen by the device if not given. (at least 32, at most 2048) */
  tile_px?: number | null;
}

export interface UpscaleRequest {
  task: "upscale";
  params: UpscaleParams;
  /** By default "normal". */
  priority?: Priority;
  /** By default "latest". */
  previews?: Previews;
  webhook?: Webhook | null;
  labels?: Record<string, string>;
}

/** As `freeu` of a request. */
export interface UsedFreeU {
  b1: number;
  b2: number;
  s1: number;
  s2: number;
}

/** A LoRA, how much it counted, and the first ten hexadecimal digits of the SHA-256 of its file. */
export interface UsedLora {
  name: string;
  /** By default 1.0. */
  weight: number;
  hash?: string | null;
}

/** As `size_conditioning` of a request. */
export interface UsedSizeConditioning {
  positive: number;
  negative: number;
  end: number;
}

/** Where to POST the facts of a job, signed by the Standard Webhooks scheme. */
export interface Webhook {
  url: string;
  /** By default only the end of the job. (by default ["job.succeeded", "job.failed", "job.cancelled"]) */
  events?: WebhookEvent[];
}

/** The facts a webhook may ask for. */
export type WebhookEvent = "job.queued" | "job.started" | "job.requeued" | "output.ready" | "job.warning" | "job.succeeded" | "job.failed" | "job.cancelled";
