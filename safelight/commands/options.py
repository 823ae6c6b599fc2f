"""Options that several commands take, and the values of those that take one of a few."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ViaChoice(StrEnum):
    """The values of `--via`; see `safelight.transport.TransportName`."""

    WEBSOCKET = "websocket"
    SSE = "sse"
    POLL = "poll"


class EngineChoice(StrEnum):
    """The values of `--engine`; `service.setting_values.EngineKind` has them too, and is not loaded for `--help`."""

    TORCH = "torch"
    FAKE = "fake"


class LogChoice(StrEnum):
    """The values of `--log-format`."""

    CONSOLE = "console"
    JSON = "json"


class OffloadChoice(StrEnum):
    """The values of `--offload`; see `engine.interface.engine.Offload`."""

    AUTO = "auto"
    NEVER = "never"
    MODEL = "model"
    LAYERS = "layers"


Via = Annotated[ViaChoice, typer.Option("--via", help="How events come; sse and poll pass where WebSockets do not.")]
Url = Annotated[str, typer.Option("--url", envvar="SAFELIGHT_URL", help="Where the server is.")]
RunUrl = Annotated[
    str | None, typer.Option("--url", envvar="SAFELIGHT_URL", help="Where the server is.", show_default=False)
]
ApiKey = Annotated[str | None, typer.Option("--key", envvar="SAFELIGHT_API_KEY", help="API key.", show_default=False)]

ModelsDir = Annotated[Path | None, typer.Option(help="Folder of the model files.", show_default=False)]
DataDir = Annotated[Path | None, typer.Option(help="The server's data folder.", show_default=False)]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file with settings.", show_default=False)]
