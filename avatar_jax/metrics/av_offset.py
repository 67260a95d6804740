"""How far sound and picture are apart, and how sure that is, from SyncNet's embeddings of a clip's windows."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

REACH = 15
"""Shifts that are tried to either side, in frames."""


class AVOffset(NamedTuple):
    """offset: frames, REACH minus the place of the smallest mean distance, as its authors count: -3 means that the
    sound of a frame comes three frames after it. confidence: median minus minimum of the mean distances. distance:
    that minimum."""

    offset: int
    confidence: float
    distance: float


def padded_distances(
    video_NE: Float[np.ndarray, "N E"], sound_NE: Float[np.ndarray, "N E"], reach: int = REACH
) -> Float[np.ndarray, " shifts"]:
    """Mean distance of each window's picture from the sound -reach .. reach windows later, as published: beyond the
    clip's ends all sound is the zero vector."""
    padded = np.pad(sound_NE, ((reach, reach), (0, 0)))
    count = len(video_NE)
    return np.array([distances(video_NE, padded[k : k + count]).mean() for k in range(2 * reach + 1)])


def overlap_distances(
    video_NE: Float[np.ndarray, "N E"], sound_NE: Float[np.ndarray, "N E"], reach: int = REACH
) -> Float[np.ndarray, " shifts"]:
    """The same over the windows that have a partner. Of unit vectors, the zero vector is nearer than any stranger, so
    padding would draw short clips to large offsets."""
    count = len(video_NE)
    out = []
    for shift in range(-reach, reach + 1):
        first, last = max(0, -shift), min(count, count - shift)
        out.append(distances(video_NE[first:last], sound_NE[first + shift : last + shift]).mean())
    return np.array(out)


def distances(a_NE: np.ndarray, b_NE: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a_NE - b_NE, axis=-1)


def av_offset(mean_distances: Float[np.ndarray, " shifts"]) -> AVOffset:
    """Offset and confidence by the published definition."""
    best = int(np.argmin(mean_distances))
    smallest = float(mean_distances[best])
    return AVOffset(len(mean_distances) // 2 - best, float(np.median(mean_distances)) - smallest, smallest)
