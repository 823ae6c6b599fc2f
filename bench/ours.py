"""Our server with the playback engine: `python -m bench.ours PORT DATA_DIR`. Started by `bench.servers`."""

import sys
from pathlib import Path
from typing import Final

import engine.fake
from bench.playback import PlaybackBackend
from service.main import serve
from service.settings import load

_HEARTBEAT_S: Final = 3600.0


def main(port: int, data_dir: Path) -> None:
    # The wiring looks the backend up by this name when it is put together; everything else is as in production.
    engine.fake.FakeBackend = PlaybackBackend  # type: ignore[misc]
    # The clients of the benchmarks answer no pings: they would be taken for dead between two rounds.
    settings = {"engine": "fake", "port": port, "data_dir": data_dir, "heartbeat_s": _HEARTBEAT_S}
    serve(load(None, settings))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
