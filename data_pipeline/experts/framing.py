"""Which square of a frame an expert looks at: about the mouth, or about the face as the published SyncNet does."""

import numpy as np
from jaxtyping import Float32
from scipy.signal import medfilt

from data_pipeline.protocol import Tracks

MOUTH_EXTENT = 0.55
"""Side of the mouth's square in widths of the head: finders agree on heads better than on lips."""
SMOOTHED = 13
"""Frames of the median over which the published pipeline smooths a face's track."""
FACE_PADDING = 0.4
"""How far its crop reaches beyond the detected face, in halves of the face's longer side."""
Boxes = Float32[np.ndarray, "T 4"]
"""x, y, width, height as shares of the frame's width and height; `clips.crops` takes the square of the longer side."""


def mouth_squares(tracks: Tracks) -> Boxes:
    """The square about the mouth in every frame, `MOUTH_EXTENT` head widths long."""
    x, y, width, height = tracks.mouths_TB.T
    side = MOUTH_EXTENT * tracks.heads_TB[:, 2]
    # A width says it all: shares of width and of height are not the same number of pixels.
    return np.stack([x + width / 2 - side / 2, y + height / 2, side, 0 * side], axis=-1).astype(np.float32)


def face_squares(tracks: Tracks, size: tuple[int, int]) -> Boxes:
    """The padded square that the published pipeline cuts out about a face, which stands above its middle.

    It detects faces with another finder than ours, whose boxes lie a little differently about the same face.
    """
    width, height = size
    boxes = tracks.heads_TB * np.array([width, height, width, height], np.float32)
    half = np.maximum(boxes[:, 2], boxes[:, 3]) / 2
    window = min(SMOOTHED, len(half) - 1 + len(half) % 2)
    half, x, y = (medfilt(v, window) for v in (half, boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3] / 2))
    side = 2 * (1 + FACE_PADDING) * half
    return np.stack(
        [(x - side / 2) / width, (y + FACE_PADDING * half) / height, side / width, 0 * side], axis=-1
    ).astype(np.float32)
