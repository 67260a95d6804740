"""Jumps between frames, against what changes from frame to frame in the same clip anyway."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

REACH = 1
"""Frames to either side of a seam in which its jump is looked for."""
LARGEST = 3
STANDING = 0.05
"""Levels of 255 that the mean change of a picture that nobody moves stays below."""


def usual(change_T: Float[np.ndarray, " T"]) -> float:
    """Median change of the clip; nan where it stands still, but for what a codec does, or repeats every other frame."""
    middle = float(np.median(change_T)) if len(change_T) else 0.0
    return middle if middle > STANDING else float("nan")


def seam_jump(change_T: Float[np.ndarray, " T"], seams: Sequence[int]) -> float:
    """Mean over seams of the largest change at the seam over the clip's median: 1 means that no seam can be seen.

    `change_T[i]` is the change from frame i to frame i + 1; nan without seams or without motion.
    """
    found = [change_T[max(0, seam - 1 - REACH) : seam + REACH].max() for seam in seams if 0 < seam <= len(change_T)]
    return float(np.mean(found)) / usual(change_T) if found else float("nan")


def largest_jump(change_T: Float[np.ndarray, " T"], apart: int) -> float:
    """Mean of the `LARGEST` largest changes, each at least `apart` frames from the others, over the clip's median:
    what stands in for `seam_jump` where nobody knows the seams."""
    left = np.array(change_T, np.float64)
    found = []
    while len(found) < LARGEST and (left > -1).any():
        place = int(left.argmax())
        found.append(left[place])
        left[max(0, place - apart + 1) : place + apart] = -1
    return float(np.mean(found)) / usual(change_T) if found else float("nan")
