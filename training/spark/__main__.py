"""`python -m training.spark STAGE`: see the package's docstring for the stages."""

import argparse
import logging
from pathlib import Path

import torch

from training.spark import decoder, icons, judge, latents, preview_decoder, proof, unet, vae
from training.spark.budget import Budget
from training.spark.export import export
from training.spark.pipeline import assemble, generate, load_folder
from training.spark.sheet import contact_sheet
from training.spark.single_file import write_single_file
from training.spark.sprites import render
from training.spark.threads import Threads

STAGES = (
    "fetch",
    "render",
    "vae",
    "latents",
    "unet",
    "decoder",
    "preview_decoder",
    "sample",
    "export",
    "single_file",
    "judge",
    "proof",
)
FOLDER = Path(__file__).parents[2] / "engine" / "diffusion" / "spark"
JUDGE_STEPS = 1500


def main() -> None:
    options = _read_options()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    work_dir, device = options.work_dir, torch.device(options.device)
    threads = Threads(options.threads)
    if options.stage == "fetch":
        icons.fetch(work_dir)
    elif options.stage == "render":
        render(work_dir)
    elif options.stage == "vae":
        budget = Budget(options.steps, options.minutes)
        vae.train(work_dir, render(work_dir), budget, device, threads=threads, precision=options.precision)
    elif options.stage == "latents":
        latents.prepare(work_dir, render(work_dir), device)
    elif options.stage == "unet":
        budget = Budget(options.steps, options.minutes)
        rows = latents.prepare(work_dir, render(work_dir), device)
        workers = options.threads if device.type == "cpu" else 1
        unet.train(work_dir, rows, budget, device, workers=workers, precision=options.precision)
    elif options.stage == "decoder":
        budget = Budget(options.steps, options.minutes)
        decoder.train(work_dir, render(work_dir), budget, device, threads=threads, precision=options.precision)
    elif options.stage == "preview_decoder":
        budget = Budget(options.steps, options.minutes)
        rows = latents.prepare(work_dir, render(work_dir), device)
        preview_decoder.train(work_dir, rows, budget, device, threads=threads, precision=options.precision)
        preview_decoder.export(work_dir, options.folder)
    elif options.stage == "sample":
        prompts = options.prompt or [f"a {word}" for word in ("cat", "red apple", "blue car", "yellow star")]
        pictures = generate(assemble(work_dir, options.checkpoint), prompts, [options.seed] * len(prompts))
        contact_sheet(pictures, prompts, columns=min(8, len(prompts))).save(options.sheet or work_dir / "sample.png")
    elif options.stage == "export":
        export(work_dir, options.folder, options.checkpoint)
    elif options.stage == "single_file":
        write_single_file(options.folder, options.file or options.work_dir / "spark.safetensors")
    elif options.stage == "judge":
        judge.train(work_dir, render(work_dir), steps=JUDGE_STEPS, threads=threads)
    elif options.stage == "proof":
        _prove(options, threads)


def _prove(options: argparse.Namespace, threads: Threads) -> None:
    sprites = render(options.work_dir)
    expert = judge.train(options.work_dir, sprites, steps=JUDGE_STEPS, threads=threads)
    results, pictures = proof.prove(load_folder(options.folder), expert, sprites)
    accuracy = judge.measure(expert, sprites)
    out = options.work_dir / "proof.json"
    proof.report(results, pictures, accuracy, sheet=options.sheet, out=out)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.spark", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--work-dir", type=Path, default=Path.home() / ".cache" / "safelight" / "spark-training")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads at most")
    parser.add_argument("--minutes", type=float, help="training stages: train for this long, over all runs together")
    parser.add_argument("--steps", type=int, help="training stages: the same in steps; repeatable to the bit")
    parser.add_argument("--checkpoint", default="unet.pt", help="sample, export: which file of the work folder")
    parser.add_argument(
        "--folder",
        type=Path,
        default=FOLDER,
        help="preview_decoder, export, single_file, proof: the diffusers folder",
    )
    parser.add_argument("--file", type=Path, help="single_file: where it goes")
    parser.add_argument("--sheet", type=Path, help="sample, proof: where the contact sheet goes")
    parser.add_argument("--prompt", action="append", help="sample: a prompt; may be repeated")
    parser.add_argument("--seed", type=int, default=1, help="sample: the seed of every picture")
    return parser.parse_args()


if __name__ == "__main__":
    main()
