"""The rule for hard cuts that needs no weights: colours and edges of neighbouring frames differ.

The linear classifier that Koala-36M published (Wang et al. 2024, arXiv 2410.08260), with its two numbers: the
correlation of the colour histograms, and the structural similarity of brightness with the edges drawn into it.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

COLOURS, EDGES, OFFSET = 4.61480465, 3.75211168, -5.485968377
BINS = 254
"""Of each colour, from 1 to 254: what is black or blown out says nothing."""
SIDE = 128
"""Pixels to which a frame's shorter side is shrunk before."""


def likeness(frames: Sequence[UInt8[np.ndarray, "H W 3"]]) -> Float[np.ndarray, " steps"]:
    """For every two neighbours a number that is negative at a cut; [T - 1]."""
    histograms, edges = [histogram(f) for f in frames], [outline(f) for f in frames]
    return np.array(
        [
            COLOURS * cv2.compareHist(histograms[i], histograms[i + 1], cv2.HISTCMP_CORREL)
            + EDGES * similarity(edges[i], edges[i + 1])
            + OFFSET
            for i in range(len(frames) - 1)
        ]
    )


def histogram(frame: np.ndarray) -> np.ndarray:
    """[3 * BINS] float32: how often each value of each colour occurs."""
    return np.concatenate([cv2.calcHist([frame], [c], None, [BINS], [1, 255])[:, 0] for c in range(3)])


def outline(frame: np.ndarray) -> np.ndarray:
    """Brightness, white where there is an edge; [SIDE, SIDE] float32."""
    grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.maximum(grey, cv2.Canny(grey, 100, 200)).astype(np.float32)


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Mean structural similarity (Wang et al. 2004) of two pictures of 0 to 255, over windows of 7 x 7 pixels."""
    one, two = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, (7, 7))

    mean_a, mean_b = mean(a), mean(b)
    unbiased = 49 / 48
    var_a, var_b = unbiased * (mean(a * a) - mean_a**2), unbiased * (mean(b * b) - mean_b**2)
    both = unbiased * (mean(a * b) - mean_a * mean_b)
    above = (2 * mean_a * mean_b + one) * (2 * both + two)
    below = (mean_a**2 + mean_b**2 + one) * (var_a + var_b + two)
    return float((above / below)[3:-3, 3:-3].mean())
