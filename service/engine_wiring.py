"""What of the engine is put together for a server or a worker: the executor, and what is known of the models."""

from collections.abc import Sequence
from functools import partial

from engine.backend import Backend
from engine.executor import Executor, ExecutorOptions
from engine.fake_memory import FAKE_MODEL
from engine.inpainting.listing import listed
from engine.inpainting.weights import Weights
from engine.interface.downloads import Downloader
from engine.interface.engine import Engine
from engine.lazy_backend import LazyBackend
from engine.library.library import Library, own_root
from engine.library.roots import make_library
from engine.models.shelf import Shelf as ModelShelf
from engine.models.shelf import packaged
from engine.models.wanted import WantedModels
from engine.plugins.files import PluginFiles
from engine.prompting.expand import Wordsmith
from protocol.models import ModelInfo
from service.bridge import Announcer
from service.models import Shelf
from service.setting_values import EngineKind
from service.settings import Settings


def make_engine(
    settings: Settings,
    library: Library,
    wordsmith: Wordsmith,
    announcer: Announcer,
    downloader: Downloader,
    *,
    worker: str | None = None,
) -> Engine:
    """
    Args:
        worker: its name in `job.started`; by default as the setting has it.
    """
    options = ExecutorOptions(
        worker=worker or settings.worker,
        budget_bytes=settings.memory_budget_bytes,
        max_live_jobs=settings.max_live_jobs,
        pool_threads=settings.pool_threads,
        call_deadline_s=settings.call_deadline_s,
        preview_interval_s=settings.preview_interval_s,
        model_idle_s=settings.model_idle_s,
    )
    return Executor(LazyBackend(partial(_backend, settings, library, wordsmith, announcer, downloader)), options)


def _backend(
    settings: Settings, library: Library, wordsmith: Wordsmith, announcer: Announcer, downloader: Downloader
) -> Backend:
    # On the executor thread, and imported here: both need libraries that take long to import.
    if settings.engine is EngineKind.FAKE:
        from engine.fake import FakeBackend

        return FakeBackend(step_s=settings.fake_step_s, tell=announcer, wordsmith=wordsmith)
    from engine.torch_backend import TorchBackend

    return TorchBackend(
        settings.models_dir,
        announcer,
        library=library,
        default_model=settings.default_model,
        model_budget_bytes=settings.model_budget_bytes,
        offload=settings.offload,
        device=settings.device,
        threads=settings.cpu_threads,
        erase_weights=_weights(settings),
        downloader=downloader,
        wordsmith=wordsmith,
    )


def make_library_of(settings: Settings) -> Library:
    if settings.engine is EngineKind.FAKE:
        return Library((own_root(settings.models_dir),))
    return make_library(settings.models_dir, settings.model_folders)


def make_shelf(settings: Settings, library: Library) -> Shelf:
    def others() -> Sequence[ModelInfo]:
        if settings.engine is EngineKind.FAKE:
            return [FAKE_MODEL]
        return [*packaged(settings.models_dir), *listed(_weights(settings)), *_plugins(settings).listed()]

    return ModelShelf(library, settings.models_dir, default_model=settings.default_model, others=others)


def _weights(settings: Settings) -> Weights:
    return Weights(
        models_dir=settings.models_dir,
        folders=tuple(folder.expanduser() for folder in settings.model_folders),
        allows_noncommercial=settings.allow_noncommercial_models,
    )


def _plugins(settings: Settings) -> PluginFiles:
    weights = _weights(settings)
    return PluginFiles(
        models_dir=weights.models_dir, folders=weights.folders, allows_noncommercial=weights.allows_noncommercial
    )


def make_wanted(settings: Settings, library: Library) -> WantedModels | None:
    # The fake engine makes pictures whatever model is named.
    return None if settings.engine is EngineKind.FAKE else WantedModels(library, settings.default_model)
