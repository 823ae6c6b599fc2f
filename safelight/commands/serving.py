"""`safelight serve`, `safelight gateway`, `safelight worker` and `safelight demo`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.console import Console

from safelight.commands.failing import fail
from safelight.commands.options import ConfigFile, EngineChoice, LogChoice, ModelsDir, OffloadChoice
from safelight.commands.session import end, finish
from safelight.commands.settings import load_server_settings, load_settings, models_folder

Nats: TypeAlias = Annotated[str | None, typer.Option(help="nats://HOST:PORT.", show_default=False)]
ObjectsUrl: TypeAlias = Annotated[
    str | None, typer.Option(help="s3://BUCKET/PREFIX or file:///FOLDER.", show_default=False)
]


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default=False)] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(metavar="[HOST:]PORT[=PROFILE]", help="Where to listen; may be repeated.", show_default=False),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Database and pictures.", show_default=False)] = None,
    models_dir: ModelsDir = None,
    config: ConfigFile = None,
    engine: Annotated[EngineChoice | None, typer.Option(help="What runs the jobs.", show_default=False)] = None,
    offload: Annotated[
        OffloadChoice | None, typer.Option(help="Models that do not fit the GPU.", show_default=False)
    ] = None,
    log_format: Annotated[LogChoice | None, typer.Option(help="For people or machines.", show_default=False)] = None,
) -> None:
    """Start the server. Flags go before SAFELIGHT_* variables, those before the file."""
    if port is not None and listen and not any(place.strip().startswith("=") for place in listen):
        fail("--port and --listen exclude each other: say the port with --listen too, or --listen =PROFILE", 2)
    from service import main as server

    flags: Mapping[str, object] = {
        "host": host,
        "port": port,
        "listen": tuple(listen) if listen else None,
        "data_dir": data_dir,
        "models_dir": models_dir,
        "engine": engine and engine.value,
        "offload": offload and offload.value,
        "log_format": log_format and log_format.value,
    }
    server.serve(load_server_settings(config, flags))


def gateway(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default=False)] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(metavar="[HOST:]PORT[=PROFILE]", help="Where to listen; may be repeated.", show_default=False),
    ] = None,
    nats: Nats = None,
    objects: ObjectsUrl = None,
    data_dir: Annotated[Path | None, typer.Option(help="Copies of facts and pictures.", show_default=False)] = None,
    config: ConfigFile = None,
    log_format: Annotated[LogChoice | None, typer.Option(help="For people or machines.", show_default=False)] = None,
) -> None:
    """Start a gateway of a cluster: takes jobs in, and shows them. Needs no engine."""
    if port is not None and listen and not any(place.strip().startswith("=") for place in listen):
        fail("--port and --listen exclude each other: say the port with --listen too, or --listen =PROFILE", 2)
    from service import main as server

    flags: Mapping[str, object] = {
        "host": host,
        "port": port,
        "listen": tuple(listen) if listen else None,
        "nats_url": nats,
        "objects_url": objects,
        "data_dir": data_dir,
        "log_format": log_format and log_format.value,
    }
    server.serve_gateway(load_server_settings(config, flags))


def worker(
    name: Annotated[str | None, typer.Option(help="Told in job.started; by default the machine's.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:N.", show_default=False)] = None,
    host: Annotated[str | None, typer.Option(help="Address for --port.", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option(help="Answer there whether it is well, and with metrics.", show_default=False)
    ] = None,
    nats: Nats = None,
    objects: ObjectsUrl = None,
    data_dir: Annotated[Path | None, typer.Option(help="Copies of pictures.", show_default=False)] = None,
    models_dir: ModelsDir = None,
    config: ConfigFile = None,
    engine: Annotated[EngineChoice | None, typer.Option(help="What runs the jobs.", show_default=False)] = None,
    offload: Annotated[
        OffloadChoice | None, typer.Option(help="Models that do not fit the GPU.", show_default=False)
    ] = None,
    log_format: Annotated[LogChoice | None, typer.Option(help="For people or machines.", show_default=False)] = None,
) -> None:
    """Start a worker of a cluster: does the jobs its gateways take in. One for each device."""
    from service.worker_wiring import run_worker

    flags: Mapping[str, object] = {
        "worker": name,
        "device": device,
        "host": host,
        "nats_url": nats,
        "objects_url": objects,
        "data_dir": data_dir,
        "models_dir": models_dir,
        "engine": engine and engine.value,
        "offload": offload and offload.value,
        "log_format": log_format and log_format.value,
    }
    run_worker(load_settings(config, flags), port)


def demo(
    models_dir: ModelsDir = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pictures.")] = Path("demo-output"),
    engine: Annotated[EngineChoice, typer.Option(help="What runs the jobs.")] = EngineChoice.TORCH,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Two gateways and three workers instead; some of them are killed.")
    ] = False,
) -> None:
    """Start a server, work on a photograph, and show how urgent work overtakes long work."""
    from engine.models.carriers import PullFailed
    from safelight.demo import run_demo
    from safelight.demo_cluster import run_cluster_demo

    models = models_folder(None, models_dir)
    if cluster:
        end(finish(run_cluster_demo(Console(), output / "cluster", models, engine.value)))
        return
    try:
        code = finish(run_demo(Console(), output, models, engine.value))
    except PullFailed as error:
        fail(str(error), 1)
    end(code)
