"""What is missing of an erase model's files, brought by whoever does downloads here, while the job waits."""

from collections.abc import Generator
from functools import partial
from typing import Any, Final

from engine.inpainting.descriptor import EraseModelSpec
from engine.inpainting.published import eraser_id
from engine.inpainting.weights import Weights
from engine.interface import Call, Where
from engine.interface.downloads import Coming, Downloader, DownloadFailed, WantedFile

_LOOK_S: Final = 20.0
"""A wait is made of shorter ones, so that it never seems to be a call that does not come back."""


class Fetching:
    """Implements `engine.inpainting.erasers.Fetch`.

    Args:
        weights: says what is missing, and where it goes.
    """

    def __init__(self, weights: Weights, downloader: Downloader) -> None:
        self._weights = weights
        self._downloader = downloader

    def __call__(self, spec: EraseModelSpec) -> Generator[Call, Any, None]:
        """Wait until the files are there; jobs that want the same share one download. Use with `yield from`.

        A job that is cancelled leaves the download to go on: another will want it.

        Raises:
            EngineError: `model_missing`: they could not be had, and why.
        """
        wanted = [
            WantedFile(url=file.url, target=self._weights.target(file), md5=file.md5, size_bytes=file.size_bytes)
            for file in self._weights.missing(spec)
        ]
        if not wanted:
            return
        coming: Coming = self._downloader.begin(eraser_id(spec.name), wanted)
        look = Call(partial(coming.wait, _LOOK_S), where=Where.OUTSIDE, stage="download", deadline_s=3 * _LOOK_S)
        try:
            while not (yield look):
                pass
        except DownloadFailed as failure:
            raise self._weights.absence(spec, str(failure)) from None
