"""What a running task is given: the `RunContext` of the executor."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import structlog

from engine.interface import PREVIEW_MAX_SIDE_PX, Call, EncodedImage, ImageSkipped, Run, Steps, Where
from engine.interface.engine import EventSink, OutputStore
from protocol.events import EventBody, JobWarning, OutputReady, OutputSkipped, PreviewReady, StepFinished
from protocol.requests import Previews

logger = structlog.get_logger(__name__)

_PREVIEW_QUALITY: Final = 80


class JobContext:
    """One job's way to the outside. Implements `engine.interface.RunContext`.

    Args:
        pool: runs a function on the side pool, at this job's urgency.
        preview_interval_s: the least time between two previews when the job asked for the latest only.
    """

    def __init__(
        self,
        run: Run,
        sink: EventSink,
        outputs: OutputStore,
        pool: Callable[[Callable[[], None]], None],
        *,
        preview_interval_s: float,
    ) -> None:
        self.run = run
        self.timings: dict[str, float] = {}
        self._sink = sink
        self._outputs = outputs
        self._pool = pool
        self._preview_interval_s = preview_interval_s
        self._started_at = time.monotonic()
        self._next_preview_at = 0.0
        self._preview_is_pending = False
        self._telling = threading.Lock()
        self._has_ended = False
        self._is_at_image = False

    @property
    def has_ended(self) -> bool:
        return self._has_ended

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started_at

    def end(self, body: EventBody) -> bool:
        """Tell how the job ended, and nothing after it: work of it still under way is of no interest any more.

        From any thread. Of several that would end one job the first does.

        Returns:
            False if it had ended before, and `body` was not told.
        """
        with self._telling:
            if self._has_ended:
                return False
            self._sink.emit(body, job_id=self.run.job_id, attempt=self.run.attempt)
            self._has_ended = True
            return True

    def emit(self, body: EventBody) -> None:
        # Under the lock, or a preview from the side pool could be told after the end.
        with self._telling:
            if not self._has_ended:
                self._sink.emit(body, job_id=self.run.job_id, attempt=self.run.attempt)

    def warn(self, code: str, message: str) -> None:
        self.emit(JobWarning(code=code, message=message))

    @property
    def is_at_image(self) -> bool:
        """For the executor thread, as the next."""
        return self._is_at_image

    @contextmanager
    def image(self, index: int) -> Iterator[None]:
        self._is_at_image = True
        try:
            yield
        except ImageSkipped:
            self.emit(OutputSkipped(index=index))
        finally:
            self._is_at_image = False

    def step(self, step: int, steps: int, *, image: int = 0, progress: float, stage: str | None = None) -> None:
        progress = min(max(progress, 0.0), 1.0)
        eta_s = self.elapsed_s * (1 - progress) / progress if progress > 0 else None
        self.emit(
            StepFinished(
                image=image,
                step=step,
                steps=steps,
                progress=round(progress, 4),
                eta_s=None if eta_s is None else round(eta_s, 3),
                stage=stage,
            )
        )

    @property
    def wants_previews(self) -> bool:
        if self.run.previews is Previews.NONE or self._preview_is_pending:
            return False
        return self.run.previews is Previews.ALL or time.monotonic() >= self._next_preview_at

    def preview(
        self, step: int, picture: Callable[[], Any], *, image: int = 0, max_px: int = PREVIEW_MAX_SIDE_PX
    ) -> None:
        if not self.wants_previews:
            return
        self._preview_is_pending = True
        self._next_preview_at = time.monotonic() + self._preview_interval_s
        self._pool(lambda: self._show(step, picture, image, max_px))

    def output(
        self,
        index: int,
        encode: Callable[[], EncodedImage],
        *,
        seed: int | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Steps:
        started_at = time.monotonic()

        def keep() -> OutputReady:
            encoded = encode()
            encode_s = time.monotonic() - started_at
            stored = self._outputs.write(self.run.job_id, index, encoded.media_type, encoded.content)
            return OutputReady(
                index=index,
                url=stored.url,
                media_type=encoded.media_type,
                size_bytes=stored.size_bytes,
                sha256=stored.sha256,
                width=encoded.width,
                height=encoded.height,
                seed=seed,
                timings={"encode": round(encode_s, 4), "ready": round(self.elapsed_s, 4)},
                data=data,
            )

        self.emit((yield Call(keep, where=Where.POOL, stage="encode")))

    def _show(self, step: int, picture: Callable[[], Any], image: int, max_px: int) -> None:
        try:
            content, width, height = _thumbnail(picture(), max_px)
        except Exception:  # a preview is a courtesy: the job goes on without it
            logger.exception("preview.failed", job_id=self.run.job_id, task=self.run.task)
        else:
            self.emit(
                PreviewReady(image=image, step=step, width=width, height=height, media_type="image/jpeg", bytes=content)
            )
        finally:
            self._preview_is_pending = False


def _thumbnail(pixels: Any, max_px: int) -> tuple[bytes, int, int]:
    import io

    from PIL import Image

    thumbnail = Image.fromarray(pixels, "RGB")
    thumbnail.thumbnail((max_px, max_px))
    buffer = io.BytesIO()
    thumbnail.save(buffer, "JPEG", quality=_PREVIEW_QUALITY)
    return buffer.getvalue(), thumbnail.width, thumbnail.height
