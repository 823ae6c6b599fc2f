"""The bodies that joints and the fields between them make.

Source: Cao, Simon, Wei and Sheikh, "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", 2017; which
limb is told by which fields is of the model they published for COCO.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

JOINTS: Final = 18
"""Nose, neck; right shoulder, elbow, wrist; left ones; right hip, knee, ankle; left ones; eyes, ears, right first."""
FIELDS: Final = 38


@dataclass(frozen=True, slots=True)
class Limb:
    """From one joint to another; `across` is the field that tells the way it goes across, the next one down."""

    begin: int
    end: int
    across: int


LIMBS: Final = (
    *(Limb(1, 2, 12), Limb(1, 5, 20)),
    *(Limb(2, 3, 14), Limb(3, 4, 16), Limb(5, 6, 22), Limb(6, 7, 24)),
    *(Limb(1, 8, 0), Limb(8, 9, 2), Limb(9, 10, 4), Limb(1, 11, 6), Limb(11, 12, 8), Limb(12, 13, 10)),
    *(Limb(1, 0, 28), Limb(0, 14, 30), Limb(14, 16, 34), Limb(0, 15, 32), Limb(15, 17, 36)),
    *(Limb(2, 16, 18), Limb(5, 17, 26)),
)
"""The last two, from shoulders to ears, only hold together what other limbs have found."""
_BETWEEN: Final = 2

_SMOOTHED_PX: Final = 1.5
_LEAST_JOINT: Final = 0.1
_LEAST_FIELD: Final = 0.05
_LOOKS: Final = 10
"""Places along a limb where the field is looked at."""
_LEAST_LOOKS: Final = 0.8
"""Share of them at which it has to go along."""
_LONGEST: Final = 0.5
"""Limbs longer than this share of the picture's height count less."""
_LEAST_JOINTS: Final = 4
_LEAST_SURE: Final = 0.4


@dataclass(frozen=True, slots=True)
class Joint:
    """Where one was found, as shares of the picture's width and height, and how surely."""

    x: float
    y: float
    sure: float


@dataclass(slots=True, eq=False)
class Body:
    """Number of a joint -> where it is."""

    joints: dict[int, Joint] = field(default_factory=dict)
    sure: float = 0.0
    """Of its joints and limbs together."""

    @property
    def counts(self) -> bool:
        """Whether there is enough of it."""
        return len(self.joints) >= _LEAST_JOINTS and self.sure / len(self.joints) >= _LEAST_SURE


@dataclass(frozen=True, slots=True)
class _Bond:
    begin: Joint
    end: Joint
    sure: float


def find_bodies(joints: NDArray[np.float32], fields: NDArray[np.float32]) -> list[Body]:
    """
    Args:
        joints: (18, h, w), how likely each pixel is such a joint.
        fields: (38, h, w), for each limb across and down the way it goes.
    """
    found = [list(_peaks(each)) for each in joints]
    bodies: list[Body] = []
    for number, limb in enumerate(LIMBS):
        may_begin = number < len(LIMBS) - _BETWEEN
        for bond in _bonds(found[limb.begin], found[limb.end], fields[limb.across : limb.across + 2]):
            _join(bodies, limb, bond, may_begin=may_begin)
    return [body for body in bodies if body.counts]


def _peaks(likely: NDArray[np.float32]) -> Iterator[Joint]:
    """Pixels more likely than those around them."""
    smooth = cv2.GaussianBlur(likely, (0, 0), _SMOOTHED_PX)
    around = cv2.dilate(smooth, np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.uint8))
    height, width = likely.shape
    for y, x in np.argwhere((smooth > _LEAST_JOINT) & (smooth > around)):
        yield Joint((float(x) + 0.5) / width, (float(y) + 0.5) / height, float(likely[y, x]))


def _bonds(begins: Sequence[Joint], ends: Sequence[Joint], way: NDArray[np.float32]) -> list[_Bond]:
    """The surest limbs between these joints, of which each is in one at most.

    Args:
        way: (2, h, w): across and down.
    """
    tried = [bond for begin in begins for end in ends if (bond := _bond(begin, end, way)) is not None]
    kept: list[_Bond] = []
    for bond in sorted(tried, key=lambda each: -each.sure):
        if not any(bond.begin is other.begin or bond.end is other.end for other in kept):
            kept.append(bond)
    return kept


def _bond(begin: Joint, end: Joint, way: NDArray[np.float32]) -> _Bond | None:
    """None if the field does not go from one to the other."""
    height, width = way.shape[1:]
    step = np.array([(end.x - begin.x) * width, (end.y - begin.y) * height])
    length = float(np.hypot(*step))
    if length == 0:
        return None
    shares = np.linspace(0, 1, _LOOKS)
    columns = np.clip(np.round((begin.x + shares * (end.x - begin.x)) * width - 0.5).astype(int), 0, width - 1)
    rows = np.clip(np.round((begin.y + shares * (end.y - begin.y)) * height - 0.5).astype(int), 0, height - 1)
    along = step @ way[:, rows, columns] / length
    sure = float(along.mean()) + min(0.0, _LONGEST * height / length - 1)
    goes_along = (along > _LEAST_FIELD).mean() > _LEAST_LOOKS
    return _Bond(begin, end, sure) if goes_along and sure > 0 else None


def _join(bodies: list[Body], limb: Limb, bond: _Bond, *, may_begin: bool) -> None:
    """Put a limb to the body it belongs to, join two bodies by it, or begin one."""
    ends: Mapping[int, Joint] = {limb.begin: bond.begin, limb.end: bond.end}
    touched = [body for body in bodies if any(body.joints.get(number) is joint for number, joint in ends.items())]
    if len(touched) > 1 and not touched[0].joints.keys() & touched[1].joints.keys():
        one, other = touched[:2]
        one.joints |= other.joints
        one.sure += other.sure + bond.sure
        bodies.remove(other)
        return
    if not touched:
        if not may_begin:
            return
        touched = [Body()]
        bodies += touched
    for body in touched[:1]:
        new = {number: joint for number, joint in ends.items() if number not in body.joints}
        body.joints |= new
        body.sure += sum(joint.sure for joint in new.values()) + (bond.sure if new else 0.0)
