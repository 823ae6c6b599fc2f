"""The tasks on torch, on a CPU or on CUDA. Importing this module loads no torch; `load` does."""

import gc
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from engine.inpainting.fetching import Fetching
from engine.inpainting.weights import Weights
from engine.interface import EngineError, LiveJob, Run, RunContext, Steps
from engine.interface.downloads import Downloader
from engine.interface.engine import ModelMemory, Offload
from engine.library.library import Library
from engine.library.roots import make_library
from engine.memory import default_budget_bytes
from engine.models.residency import Residency, Tell, say_nothing
from engine.plugins.files import PluginFiles
from engine.prompting.expand import Wordsmith, make_wordsmith
from engine.segmentation.embeddings import EmbeddingCache
from engine.steps import GeneratorJob, SettledJob
from protocol.errors import ErrorCode
from protocol.requests import TaskName

if TYPE_CHECKING:
    from engine.device import Device
    from engine.diffusion.offload import Offloading
    from engine.segmentation.segmenter import Embedding

logger = structlog.get_logger(__name__)

Task: TypeAlias = Callable[[Run, RunContext], Steps]

_MOST_THREADS: Final = 16
"""The networks are small: more threads only wait for each other."""
_OUT_OF_MEMORY_SIGNS: Final = (
    "out of memory",
    "can't allocate memory",  # torch on a CPU
    "failed to allocate",  # onnxruntime
    "bad allocation",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
    "device_allocation_failed",  # cuDNN 9
    # Torch on CUDA, when the memory each of cuDNN's ways to convolve wants to work in cannot be had. A device that
    # has no way at all was refused when it was found.
    "unable to find an engine to execute this computation",
)


class TorchBackend:
    """Every task, and the device and the networks under them. Implements `engine.backend.Backend`.

    Args:
        models_dir: where `safelight models pull` put the model files; nothing is downloaded here.
        tell: hears `model.loading`, `model.loaded` and `model.unloaded`, on the executor thread.
        library: the diffusion models there are; by default those in `models_dir` and the embedded one.
        default_model: for requests that name none; see `engine.diffusion.studio.Studio`.
        model_budget_bytes: weights on the device together; None takes a part of what the device has.
        offload: where the weights of diffusion models are while they are not at work, on a GPU.
        device: `cpu`, `cuda` or `cuda:N`; None takes CUDA where there is one.
        threads: for calculations on the CPU; None takes every core this process may use.
        erase_weights: where the files of the erase models are, and which may be used; by default those in `models_dir`
            that allow commercial use.
        downloader: brings what is missing of them; None has jobs fail that need it.
        wordsmith: has the styles and wildcards for prompts; by default those in `models_dir`.
    """

    def __init__(
        self,
        models_dir: Path,
        tell: Tell = say_nothing,
        *,
        library: Library | None = None,
        default_model: str | None = None,
        model_budget_bytes: int | None = None,
        offload: Offload = Offload.AUTO,
        device: str | None = None,
        threads: int | None = None,
        erase_weights: Weights | None = None,
        downloader: Downloader | None = None,
        wordsmith: Wordsmith | None = None,
    ) -> None:
        self._models_dir = models_dir
        self._tell = tell
        self._library = library or make_library(models_dir)
        self._wordsmith = wordsmith or make_wordsmith(models_dir)
        self._default_model = default_model
        self._model_budget_bytes = model_budget_bytes
        self._offload = offload
        self._wanted_device = device
        self._threads = threads or _usable_cores()
        self._erase_weights = erase_weights or Weights(models_dir=models_dir)
        self._plugins = PluginFiles(
            models_dir=models_dir,
            folders=self._erase_weights.folders,
            allows_noncommercial=self._erase_weights.allows_noncommercial,
            downloader=downloader,
        )
        self._fetch = None if downloader is None else Fetching(self._erase_weights, downloader)
        self._device: Device | None = None
        self._residency: Residency | None = None
        self._offloading: Offloading | None = None
        self._embeddings: EmbeddingCache[Embedding] = EmbeddingCache()
        self._tasks: Mapping[TaskName, Task] = {}

    def load(self) -> str:
        try:
            import torch

            from engine.device import find_device

            device = self._device = find_device(self._wanted_device)
            budget_bytes = self._model_budget_bytes or device.weights_budget_bytes()
            self._residency = Residency(
                self._models_dir,
                device.name,
                self._tell,
                budget_bytes,
                home_budget_bytes=device.home_budget_bytes(),
            )
            self._tasks = {
                **_import_tasks(self._residency, self._embeddings, self._erase_weights, self._fetch, self._plugins),
                **self._import_generating_tasks(self._residency, device),
            }
        except ImportError as error:
            message = f"the engine's libraries are not all installed ({error}); see docs/operations.md, Installing"
            raise EngineError(ErrorCode.NOT_READY, message) from error
        # For this thread, which runs every device call: nothing here is trained.
        torch.set_grad_enabled(False)
        _calculate_on(self._threads)
        logger.info("backend.loaded", device=device.name, threads=self._threads, torch=torch.__version__)
        return device.name

    def budget_bytes(self) -> int:
        return default_budget_bytes() if self._device is None else self._device.budget_bytes()

    def prepare_pool_thread(self) -> None:
        # A second thread that calculates on several cores would cost the device thread its own: OpenMP then counts
        # more threads than cores, and has each wait asleep. On two cores a denoiser's step took 29 ms instead of 10.
        _calculate_on(1)

    def open(self, run: Run, context: RunContext) -> LiveJob:
        job = GeneratorJob(self._tasks[run.task](run, context))
        if self._device is None or not self._device.is_cuda:
            return job
        # CUDA only takes note of what it is asked. A call must not come back before it is done, or the next job's
        # call pays for it: timings, deadlines and whose failure it is would be wrong.
        return SettledJob(job, self._device.wait)

    def free_memory(self) -> None:
        self._embeddings.clear()
        if self._residency is not None:
            self._residency.clear("a job ran out of memory")
        if self._offloading is not None:
            self._offloading.guests.send_all_home()
        self._free_caches()

    def is_out_of_memory(self, error: Exception) -> bool:
        import torch

        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            return True
        # onnxruntime, and torch on a CPU, have no type of their own for it.
        is_native = isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")
        return is_native and any(sign in str(error).lower() for sign in _OUT_OF_MEMORY_SIGNS)

    def memory(self) -> ModelMemory:
        return ModelMemory() if self._residency is None else self._residency.memory

    def unload_model(self, name: str, reason: str) -> None:
        if self._residency is not None and self._residency.unload(name, reason):
            self._free_caches()

    def rest(self, idle_s: float) -> None:
        if self._residency is not None and self._residency.unload_idle(idle_s):
            self._free_caches()

    def close(self) -> None:
        self._tasks = {}
        self._embeddings.clear()
        self._residency = self._offloading = None
        self._free_caches()

    def _import_generating_tasks(self, residency: Residency, device: "Device") -> dict[TaskName, Task]:
        """The tasks on diffusers; imports it, which takes seconds."""
        from engine.diffusion.offload import Offloading
        from engine.diffusion.studio import Studio
        from engine.tasks.enhance import enhance, with_enhancing
        from engine.tasks.image_to_image import image_to_image
        from engine.tasks.inpaint import inpaint
        from engine.tasks.load_model import load_model
        from engine.tasks.outpaint import outpaint
        from engine.tasks.text_to_image import text_to_image

        self._offloading = Offloading(device.torch_device, residency, residency.budget_bytes, self._offload)
        residency.visitors = self._offloading.guests
        studio = Studio(
            self._library,
            residency,
            device,
            default_model=self._default_model,
            # What is measured once per model lies beside the models: in `previews/`.
            cache_dir=residency.models_dir,
            offloading=self._offloading,
            wordsmith=self._wordsmith,
            plugins=self._plugins,
        )
        plugins = self._plugins
        generating = {
            TaskName.TEXT_TO_IMAGE: partial(text_to_image, studio=studio),
            TaskName.IMAGE_TO_IMAGE: partial(image_to_image, studio=studio, plugins=plugins),
            TaskName.INPAINT: partial(inpaint, studio=studio, plugins=plugins),
            TaskName.OUTPAINT: partial(outpaint, studio=studio),
        }
        return {
            **{name: with_enhancing(task, studio, plugins) for name, task in generating.items()},
            TaskName.ENHANCE: partial(enhance, studio=studio, plugins=plugins),
            TaskName.LOAD_MODEL: partial(load_model, studio=studio),
        }

    def _free_caches(self) -> None:
        gc.collect()
        if self._device is not None:
            self._device.free_caches()


def _import_tasks(
    residency: Residency,
    embeddings: "EmbeddingCache[Embedding]",
    erase_weights: Weights,
    fetch: Fetching | None,
    plugins: PluginFiles,
) -> dict[TaskName, Task]:
    """Every task; imports what they need, so that what is missing is found at the start."""
    import cv2  # noqa: F401 - tasks import it when they run; see above
    import onnxruntime  # noqa: F401 - likewise

    from engine.inpainting.erasers import Erasers
    from engine.tasks.adjust_mask import adjust_mask
    from engine.tasks.describe import describe
    from engine.tasks.erase import erase
    from engine.tasks.remove_background import remove_background
    from engine.tasks.remove_text import remove_text
    from engine.tasks.restore_face import restore_face
    from engine.tasks.segment import segment
    from engine.tasks.test_pattern import draw_test_pattern
    from engine.tasks.upscale import upscale

    return {
        TaskName.ERASE: partial(erase, erasers=Erasers(residency, erase_weights, fetch)),
        TaskName.REMOVE_TEXT: remove_text,
        TaskName.UPSCALE: partial(upscale, residency=residency, plugins=plugins),
        TaskName.REMOVE_BACKGROUND: partial(remove_background, residency=residency, plugins=plugins),
        TaskName.SEGMENT: partial(segment, residency=residency, embeddings=embeddings, plugins=plugins),
        TaskName.ADJUST_MASK: adjust_mask,
        TaskName.RESTORE_FACE: partial(restore_face, residency=residency, plugins=plugins),
        TaskName.DESCRIBE: partial(describe, residency=residency, plugins=plugins),
        TaskName.TEST_PATTERN: draw_test_pattern,
    }


def _calculate_on(cores: int) -> None:
    """How many cores the calculations of this thread take, from now on."""
    import torch

    # A thread that was never asked takes over, at its first calculation, what any thread has set since. The threads
    # of the side pool would so leave the device thread with their single core.
    torch.get_num_threads()
    torch.set_num_threads(cores)


def _usable_cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_THREADS)
