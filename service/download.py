"""One model file on its way from elsewhere: what was asked for, what it will be called, and how far it is."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

from protocol.errors import ErrorCode, ProtocolError
from protocol.models import ModelDownload, ModelDownloadState, ModelInfo, ModelKind
from service.partial_file import PartialFile
from service.transfer import Transfer

_SAFETENSORS: Final = (".safetensors", ".sft")
_PICKLES: Final = (".ckpt", ".pt", ".pth", ".bin")
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,219}")


@dataclass(slots=True, eq=False, kw_only=True)
class Download:
    """One download: under way, or failed.

    Attributes:
        told_bytes: how far it was when that was told last.
        problem: why it came to nothing, if it did.
        task: brings it; as long as that runs, it may write.
        is_cancelled: its end was asked for.
        discards: what has arrived is not to stay when it has been cancelled.
        is_arriving: its file is being given its name; it cannot be cancelled any more.
    """

    kind: ModelKind
    url: str
    sha256: str | None
    part: PartialFile
    transfer: Transfer
    told_bytes: int
    problem: str | None = None
    task: asyncio.Task[None] | None = None
    is_cancelled: bool = False
    discards: bool = False
    is_arriving: bool = False

    @property
    def name(self) -> str:
        return self.part.target.stem

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.name}"

    @property
    def is_under_way(self) -> bool:
        """It may yet come to something."""
        return self.problem is None and not self.is_cancelled

    def info(self) -> ModelInfo:
        done, total = self.transfer.done_bytes, self.transfer.total_bytes
        return ModelInfo(
            id=self.id,
            name=self.name,
            title=self.name,
            tasks=(),
            licence="unknown",
            size_bytes=total or done,
            is_present=False,
            kind=self.kind,
            source="models",
            download=ModelDownloadState(done_bytes=done, total_bytes=total, problem=self.problem),
        )


def file_name(request: ModelDownload) -> str:
    """What the file will be called.

    Raises:
        ProtocolError: `invalid_params`: neither the name nor the URL gives one, or it is a pickle and there is no
            checksum that vouches for it.
    """
    from_url = unquote(PurePosixPath(request.url.path or "").name)
    name = request.name or from_url
    known = (*_SAFETENSORS, *_PICKLES)
    if not name.lower().endswith(known):
        if request.name is None:
            message = (
                f"name: needed, since the URL does not end with the name of a model ({', '.join(known)}), at $.name"
            )
            raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.name")
        suffix = PurePosixPath(from_url).suffix
        name += suffix if suffix.lower() in known else _SAFETENSORS[0]
    if not _SAFE_NAME.fullmatch(name):
        message = f"name: expected letters, digits and ' ._()+-', got {name!r:.80}; give one of your own, at $.name"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.name")
    if name.lower().endswith(_PICKLES) and request.sha256 is None:
        message = "sha256: needed for files in PyTorch's own format; better is a .safetensors file, at $.sha256"
        raise ProtocolError(ErrorCode.INVALID_PARAMS, message, "$.sha256")
    return name
