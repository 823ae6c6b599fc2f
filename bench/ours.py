"""Our server with the playback engine: `python -m bench.ours PORT DATA_DIR`. Started by `bench.servers`."""

import sys
from pathlib import Path

import engine.fake
from bench.playback import PlaybackBackend
from service.main import serve
from service.settings import load


def main(port: int, data_dir: Path) -> None:
    # The wiring looks the backend up by this name when it is put together; everything else is as in production.
    engine.fake.FakeBackend = PlaybackBackend  # type: ignore[misc]
    serve(load(None, {"engine": "fake", "port": port, "data_dir": data_dir}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
