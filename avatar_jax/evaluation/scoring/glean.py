"""The one pass over a video's frames: they stream through to the judge, and what the measures need is kept."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from avatar_jax.media.face import locate_face
from avatar_jax.metrics import liveness, motion
from avatar_jax.metrics.frechet import CLIP, ClipFeatures, PictureFeatures
from avatar_jax.metrics.judging import at_reading_size
from avatar_jax.metrics.sharpness import sharpness

LIKENESS_S, PICTURE_S, CLIP_S = 0.2, 0.5, 2.0
"""Seconds from one frame to the next that a loaded network sees for likeness and FID; from one clip to the next."""
BATCH = 8


def square_in(frame_HW3: np.ndarray) -> tuple[int, int, int]:
    """Top, left and side of the largest square that holds the face, or of the middle one where none is found."""
    height, width = frame_HW3.shape[:2]
    side = min(height, width)
    if height == width:
        return 0, 0, side
    box, _ = locate_face(frame_HW3)
    x, y = (box[0] + box[2] / 2, box[1] + box[3] / 2) if box else (width / 2, height / 2)
    return round(np.clip(y - side / 2, 0, height - side)), round(np.clip(x - side / 2, 0, width - side)), side


@dataclass
class Batches:
    """Pictures for a network that takes several at once; `features` has a row for each that came."""

    network: PictureFeatures | ClipFeatures
    waiting: list[np.ndarray] = field(default_factory=list)
    features: list[np.ndarray] = field(default_factory=list)

    def add(self, picture: np.ndarray) -> None:
        self.waiting.append(picture)
        if len(self.waiting) == BATCH:
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.features.append(np.asarray(self.network(np.stack(self.waiting)), np.float32))
            self.waiting.clear()

    def all(self) -> np.ndarray:
        """[N, D], [0, 0] where none came."""
        self.flush()
        return np.concatenate(self.features) if self.features else np.zeros((0, 0), np.float32)


@dataclass
class Gleaned:
    """What is kept of the frames at `fps`, besides the judge's readings; lists grow by one a frame unless said."""

    fps: float
    likeness: Batches | None = None
    """Of a loaded embedder, every LIKENESS_S."""
    fid: Batches | None = None
    fvd: Batches | None = None
    times: list[float] = field(default_factory=list)
    sharp: list[float] = field(default_factory=list)
    most: list[float] = field(default_factory=list)
    """Largest change of a block's mean since the frame before, from the second frame on."""
    brightest: list[float] = field(default_factory=list)
    flow: list[float] = field(default_factory=list)
    """Every motion.APART_S, like `cells`."""
    cells: list[np.ndarray] = field(default_factory=list)
    first: np.ndarray | None = None
    _clip: list[np.ndarray] = field(default_factory=list)

    def every(self, seconds: float) -> int:
        return max(1, round(seconds * self.fps))

    def through(self, timed: Iterable[tuple[float, np.ndarray]]) -> Iterator[np.ndarray]:
        """The squares of the frames, whatever their shape."""
        step, before, grey = self.every(motion.APART_S), None, None
        top, left, side = 0, 0, 0
        for number, (seconds, frame) in enumerate(timed):
            if self.first is None:
                top, left, side = square_in(frame)
            square = np.ascontiguousarray(frame[top : top + side, left : left + side])
            self.first = square.copy() if self.first is None else self.first
            self.times.append(seconds)
            self.sharp.append(sharpness(square))
            little = liveness.blocks(square)
            self.brightest.append(float(little.max()))
            if before is not None:
                self.most.append(float(np.abs(little - before).max()))
            before = little
            if number % step == 0:
                now = motion.brightness(square)
                if grey is not None:
                    moved = motion.flow(grey, now, step / self.fps)
                    self.flow.append(motion.amount(moved))
                    self.cells.append(motion.in_cells(moved))
                grey = now
            self._show(number, square)
            yield square

    def _show(self, number: int, square: np.ndarray) -> None:
        """The loaded networks get theirs."""
        if self.likeness is not None and number % self.every(LIKENESS_S) == 0:
            self.likeness.add(square)
        if self.fid is not None and number % self.every(PICTURE_S) == 0:
            self.fid.add(square)
        if self.fvd is not None and number % max(CLIP, self.every(CLIP_S)) < CLIP:
            self._clip.append(at_reading_size(square))
            if len(self._clip) == CLIP:
                self.fvd.add(np.stack(self._clip))
                self._clip.clear()
