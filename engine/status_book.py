"""Whether the engine can work, as it is told to whoever asks."""

import threading

from engine.interface.engine import EngineState, EngineStatus
from engine.room import Room


class StatusBook:
    """The status of an executor. Written by its own thread, the watchdog's and the one that stops it; read by any.

    Args:
        room: of the live jobs, told with the status.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._status = EngineStatus.LOADING
        self._detail = ""
        self._device = "none"
        self._is_closed = False

    @property
    def device(self) -> str:
        """The name of the device; `none` before it is found."""
        with self._lock:
            return self._device

    @property
    def takes_jobs(self) -> bool:
        """Whether a job that becomes live now would be run."""
        with self._lock:
            return self._status is EngineStatus.READY and not self._is_closed

    def loaded(self, device: str) -> None:
        """The backend is loaded, and found this device."""
        with self._lock:
            self._device, self._status = device, EngineStatus.READY

    def change(self, status: EngineStatus, detail: str = "") -> None:
        """From now on this is the status, and why."""
        with self._lock:
            self._status, self._detail = status, detail

    def close(self) -> None:
        """Take no more jobs, whatever the status is and becomes."""
        with self._lock:
            self._is_closed = True

    def state(self) -> EngineState:
        taken = self._room.taken()
        with self._lock:
            return EngineState(
                status=self._status,
                device=self._device,
                live_jobs=taken.jobs,
                live_bytes=taken.bytes,
                budget_bytes=self._room.budget_bytes,
                detail=self._detail,
            )
