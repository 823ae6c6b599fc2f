"""One server, one data folder: two would number their events alike."""

import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

_NAME: Final = "server.lock"


class DataFolderInUse(Exception):
    """Another server uses the data folder."""


class DataFolderLock:
    """Held while a server runs; the system lets go of it when the process ends, however it ends.

    On Windows there is no such lock here, and nothing is checked.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / _NAME
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """
        Raises:
            DataFolderInUse: another server holds it.
        """
        file = self._path.open("a")
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                message = f"another server uses {self._path.parent}; stop it, or choose another data_dir"
                raise DataFolderInUse(message) from None
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
