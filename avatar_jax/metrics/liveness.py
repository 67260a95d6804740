"""How long a video stands still or shows nothing; `quality.is_lifeless` says it of a whole video.

Told from the means of blocks: a codec lets single pixels of a still picture flicker by several levels, but no block.
"""

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from avatar_jax.metrics.sync import runs

BLOCKS = 32
"""A side of the picture; a mouth covers several."""
STILL, DARK = 0.6, 16.0
"""Levels of 255 that no block of a frozen frame changes by, and that no block of a black frame reaches."""
LONG_S = 0.5
"""A shorter stop is a pause, not a fault."""


def blocks(picture_HW3: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "B B"]:
    """Mean brightness of the picture's blocks."""
    grey = cv2.cvtColor(picture_HW3, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.resize(grey, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA))


def frozen_share(most_T: Float[np.ndarray, " T"], fps: float) -> float:
    """Share of the video in stretches of LONG_S or more without change; `most_T[i]` is the largest change of a block
    from frame i to frame i + 1."""
    stretches = [stop - first for first, stop in runs(np.asarray(most_T) < STILL)]
    return sum(n for n in stretches if n >= LONG_S * fps) / len(most_T) if len(most_T) else float("nan")


def black_share(brightest_T: Float[np.ndarray, " T"]) -> float:
    """Share of frames in which no block is brighter than DARK."""
    return float((np.asarray(brightest_T) < DARK).mean()) if len(brightest_T) else float("nan")
