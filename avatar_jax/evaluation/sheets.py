"""Contact sheets: frames of whole videos in rows, to be looked at one by one."""

from collections.abc import Iterable, Sequence
from itertools import islice

import cv2
import numpy as np
from jaxtyping import UInt8

COLUMNS, EVERY, TILE = 8, 4, 240


def tile(frame: UInt8[np.ndarray, "H W 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """The middle square of a picture at `side` pixels."""
    height, width = frame.shape[:2]
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    cut = frame[top : top + square, left : left + square]
    return cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)


def numbered(frame: np.ndarray, number: int) -> np.ndarray:
    """A tile with the frame's number in its corner."""
    small = tile(frame, TILE).copy()
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(small, str(number), (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, width, cv2.LINE_AA)
    return small


def rows_of(tiles: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Tiles of one size in rows of COLUMNS, the last one filled up with white."""
    filled = [*tiles, *[np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)]
    return [np.concatenate(filled[i : i + COLUMNS], axis=1) for i in range(0, len(filled), COLUMNS)]


def contact_sheet(
    made: Iterable[np.ndarray], true: Iterable[np.ndarray] | None = None, every: int = EVERY
) -> UInt8[np.ndarray, "H W 3"]:
    """Every `every`-th frame of a stream with its number; with `true`, each row of true frames above the made ones."""
    rows = rows_of([numbered(frame, every * i) for i, frame in enumerate(islice(made, 0, None, every))])
    if true is not None:
        above = rows_of([numbered(frame, every * i) for i, frame in enumerate(islice(true, 0, None, every))])
        rows = [row for pair in zip(above, rows, strict=True) for row in pair]
    return np.concatenate(rows, axis=0)
