"""Several videos side by side in one, with the sound of the first: what a training run shows of itself."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from avatar_jax.media import read_frames, write_video


def side_by_side(videos: Sequence[Path], sound: Path, out: Path, fps: Fraction | int | str) -> int:
    """Write `out`, as long as the shortest of `videos`, which have one height; returns the number of frames."""

    def frames() -> Iterator[np.ndarray]:
        for row in zip(*(read_frames(path) for path in videos), strict=False):
            yield np.ascontiguousarray(np.concatenate(row, axis=1))

    return write_video(out, frames(), fps, audio=sound)
