/** What the server takes: ranges of numbers, and the names of samplers. A test holds this against the protocol. */

/** @type {Readonly<Record<string, readonly [number, number]>>} */
export const RANGES = Object.freeze({
  images: [1, 64],
  width: [16, 4096],
  height: [16, 4096],
  steps: [1, 500],
  guidance_scale: [0, 100],
  strength: [0, 1],
  lora_weight: [-4, 4],
});

/** The largest seed; a `BigInt`, since doubles end before it. */
export const LARGEST_SEED = 9223372036854775807n;

/** How many styles and LoRAs one request may name. */
export const MOST = Object.freeze({ styles: 32, loras: 16 });

/** Noise schedulers, by the names people know them under. */
export const SCHEDULERS = Object.freeze({
  euler: "Euler",
  euler_ancestral: "Euler a",
  heun: "Heun",
  heunpp2: "Heun++ 2",
  dpm_2: "DPM2",
  dpm_2_ancestral: "DPM2 a",
  lms: "LMS",
  dpm_fast: "DPM fast",
  dpm_adaptive: "DPM adaptive",
  dpmpp_2s_ancestral: "DPM++ 2S a",
  dpmpp_sde: "DPM++ SDE",
  dpmpp_2m: "DPM++ 2M",
  dpmpp_2m_sde: "DPM++ 2M SDE",
  dpmpp_2m_sde_heun: "DPM++ 2M SDE Heun",
  dpmpp_3m_sde: "DPM++ 3M SDE",
  ddim: "DDIM",
  ddpm: "DDPM",
  pndm: "PNDM",
  uni_pc: "UniPC",
  uni_pc_bh2: "UniPC bh2",
  deis: "DEIS",
  lcm: "LCM",
  tcd: "TCD",
  restart: "Restart",
  flow_euler: "Flow Euler",
  flow_heun: "Flow Heun",
});

/** How noise levels are spread over the steps. */
export const NOISE_SCHEDULES = Object.freeze({
  normal: "Normal",
  karras: "Karras",
  exponential: "Exponential",
  beta: "Beta",
  sgm_uniform: "SGM uniform",
  simple: "Simple",
  ddim_uniform: "DDIM uniform",
  trailing: "Trailing",
  align_your_steps: "Align your steps",
  kl_optimal: "KL optimal",
  turbo: "Turbo",
  lcm: "LCM",
  edm: "EDM",
});

/** Modes of speed. */
export const PERFORMANCES = Object.freeze(["quality", "speed", "extreme_speed", "lightning", "hyper_sd"]);
