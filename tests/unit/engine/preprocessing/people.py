"""People as the network for poses would tell of them, without one."""

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.preprocessing.bodies import FIELDS, JOINTS, LIMBS
from engine.preprocessing.pose_network import Maps

STANDING = {
    0: (50, 10),
    1: (50, 25),
    2: (40, 25),
    3: (36, 42),
    4: (34, 58),
    5: (60, 25),
    6: (64, 42),
    7: (66, 58),
    8: (44, 58),
    9: (43, 78),
    10: (42, 98),
    11: (56, 58),
    12: (57, 78),
    13: (58, 98),
    14: (47, 8),
    15: (53, 8),
    16: (44, 10),
    17: (56, 10),
}
"""Number of a joint -> x and y, in a picture of 100 x 110 px."""


def maps_of(*people: dict[int, tuple[int, int]], width: int = 100, height: int = 110) -> Maps:
    """A bump at every joint, and along every limb the way it goes."""
    joints = np.zeros((JOINTS, height, width), np.float32)
    fields = np.zeros((FIELDS, height, width), np.float32)
    for person in people:
        for number, (x, y) in person.items():
            dot: NDArray[np.float32] = np.zeros((height, width), np.float32)
            dot[y, x] = 1
            bump = cv2.GaussianBlur(dot, (0, 0), 2)
            joints[number] = np.maximum(joints[number], bump / bump.max())
        for limb in LIMBS:
            if limb.begin in person and limb.end in person:
                begin, end = np.array(person[limb.begin]), np.array(person[limb.end])
                way = (end - begin) / np.hypot(*(end - begin))
                line = np.zeros((height, width), np.uint8)
                cv2.line(line, person[limb.begin], person[limb.end], 1, thickness=5)
                fields[limb.across][line > 0], fields[limb.across + 1][line > 0] = way
    return Maps(joints, fields)
