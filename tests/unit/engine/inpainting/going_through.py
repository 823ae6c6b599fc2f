"""A filling, call by call, as the executor goes through it."""

from dataclasses import dataclass
from typing import Any

from engine.images import Bytes
from engine.inpainting.descriptor import EraseNetwork, EraseOptions
from engine.interface import Call, Where


@dataclass(frozen=True, slots=True)
class Gone:
    """What came of it.

    Attributes:
        stages: of its calls, in order.
    """

    picture: Bytes
    stages: tuple[str, ...]
    calls: tuple[Call, ...]

    @property
    def device_stages(self) -> tuple[str, ...]:
        return tuple(call.stage for call in self.calls if call.where is Where.DEVICE)


def go_through(network: EraseNetwork, image: Bytes, mask: Bytes, options: EraseOptions | None = None) -> Gone:
    steps = network(image, mask, options or EraseOptions())
    calls: list[Call] = []
    value: Any = None
    try:
        while True:
            calls.append(steps.send(value))
            value = calls[-1].run()
    except StopIteration as end:
        return Gone(end.value, tuple(call.stage for call in calls), tuple(calls))
