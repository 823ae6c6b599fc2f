"""Gives the jobs that were claimed to the engine."""

from pathlib import Path

from engine.interface import Order, Run
from engine.interface.engine import Engine
from service.admission import PRIORITY_RANK
from service.broker import Claim, Doer
from service.files import Files


class Dispatcher:
    """Between a broker and the engine. For the event loop only."""

    def __init__(self, broker: Doer, files: Files, engine: Engine) -> None:
        self._broker = broker
        self._files = files
        self._engine = engine
        self._turn = 0

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            claim = await self._broker.claim(self._fits)
            self._turn += 1
            self._engine.submit(self._run(claim))

    def _fits(self, claim: Claim) -> bool:
        return self._engine.has_room(self._run(claim))

    def _run(self, claim: Claim) -> Run:
        record = claim.record
        folder: Path | None = self._files.inputs(record.id) if claim.inputs else None
        return Run(
            job_id=record.id,
            attempt=record.attempt,
            task=record.task,
            params=claim.request.params,
            order=Order(not record.is_interactive, PRIORITY_RANK[record.priority], self._turn, record.key_id),
            previews=record.previews,
            inputs={field: folder / name for field, name in claim.inputs.items()} if folder else {},
            input_pixels=record.input_pixels,
            first_image=record.outputs,
        )
