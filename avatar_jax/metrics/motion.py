"""How much a video moves and how differently: optical flow (Farneback 2003), head pose, hands.

Flow is taken between frames that lie the same time apart in every video, so that frame rates can be compared, and in
picture widths, so that sizes can.
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SIDE = 96
"""Pixels of the square pictures in which flow is looked for."""
APART_S = 0.2
CELLS = 4
"""Flow is averaged in CELLS x CELLS parts of the picture."""


def brightness(picture_HW3: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "S S"]:
    """The picture as `flow` takes it."""
    small = cv2.resize(picture_HW3, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.uint8)


def flow(before_SS: np.ndarray, after_SS: np.ndarray, seconds: float) -> Float[np.ndarray, "S S 2"]:
    """Motion to the right and down from one picture to another, in percent of the width a second."""
    start = np.zeros((*before_SS.shape, 2), np.float32)
    moved = cv2.calcOpticalFlowFarneback(before_SS, after_SS, start, 0.5, 3, 11, 3, 5, 1.1, 0)
    return 100 * np.asarray(moved) / (before_SS.shape[1] * seconds)


def amount(flow_SS2: Float[np.ndarray, "S S 2"]) -> float:
    """Mean length of the motion."""
    return float(np.linalg.norm(flow_SS2, axis=-1).mean())


def in_cells(flow_SS2: Float[np.ndarray, "S S 2"]) -> Float[np.ndarray, "C C 2"]:
    """Mean motion of every cell; S is a multiple of CELLS."""
    side = flow_SS2.shape[0] // CELLS
    return flow_SS2.reshape(CELLS, side, CELLS, side, 2).mean(axis=(1, 3))


def diversity(cells_NCC2: Float[np.ndarray, "N C C 2"]) -> float:
    """Spread over time of the motion of a cell, root mean square over cells: 0 for a still picture and for a steady
    pan alike; nan for fewer than two instants."""
    return float(np.sqrt(cells_NCC2.var(axis=0).sum(-1).mean())) if len(cells_NCC2) > 1 else float("nan")


def spread(track_TC: Float[np.ndarray, "T C"], scale_C: np.ndarray) -> float:
    """Mean over columns of the standard deviation over time, each in units of its usual one."""
    return float((track_TC.std(axis=0) / scale_C).mean()) if len(track_TC) else float("nan")


def hand_variance(points_T2: Float[np.ndarray, "T 2"], seen_T: np.ndarray) -> float:
    """Variance of a hand's place while it can be seen, summed over x and y, in percent of squared picture widths (hand
    keypoint variance, as in CyberHost, arXiv 2409.01876, with one point); nan where it is seen in under two frames."""
    seen = points_T2[np.asarray(seen_T, bool)]
    return float(1e2 * seen.var(axis=0).sum()) if len(seen) > 1 else float("nan")
