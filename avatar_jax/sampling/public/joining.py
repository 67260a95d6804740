"""Sub-clips into one stream of frames: decoded a wave at a time, their seams made again from the sound, none kept long.

A key frame was pinned where the blueprint showed it, whatever is said at that instant. SkyReels-V3 drops the frames
before it and continues from there, one sub-clip after the other; here all sub-clips are made already, so the frames
that are dropped, the key frame and a few behind it are made between the frames left on both sides (audio-aligned
insertion, Kling-Avatar). A seam sees its two sub-clips alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np

from avatar_jax.sampling.folder import read_arrays, write_arrays
from avatar_jax.sampling.public.clips import latents_of, seam_path
from avatar_jax.sampling.public.clock import Clip, Seam
from avatar_jax.sampling.public.known import between, to_unit
from avatar_jax.sampling.public.scores import sharpness
from avatar_jax.sampling.public.windows import Windows, decode_windows, make_windows, shots_of
from avatar_jax.sampling.public.work import Work
from avatar_jax.sampling.windows import waves
from avatar_jax.timeline import nearest_frame

Joint = tuple[tuple[Clip, np.ndarray], tuple[Clip, np.ndarray]]
"""Two neighbours, each with its frames."""


@dataclass
class Joiner:
    """Streams the model's frames; `sharpness_of` fills up with the mean sharpness of each sub-clip."""

    work: Work
    clips: Sequence[Clip]
    seams: Sequence[Seam]
    sharpness_of: dict[int, float] = field(default_factory=dict)

    def frames(self) -> Iterator[np.ndarray]:
        """Frames 0, 1, 2 ... of the model to the last key frame, uint8."""
        work = self.work
        by_index = {seam.index: seam for seam in self.seams}
        held: list[tuple[Clip, np.ndarray]] = []
        for wave in waves(len(self.clips), work.rows):
            some = [self.clips[i] for i in wave]
            decoded = decode_windows(work, np.stack([latents_of(work, clip) for clip in some]))
            row = held + [(clip, frames.copy()) for clip, frames in zip(some, decoded, strict=True)]
            for clip, frames in row[len(held) :]:
                seen = frames[: clip.steps + 1 : max(1, clip.steps // 4)]
                self.sharpness_of[clip.index] = float(np.mean([sharpness(frame) for frame in seen]))
            joints = [(a, b) for a, b in pairwise(row) if b[0].index in by_index]
            self.repair(joints, [by_index[b[0].index] for _, b in joints])
            for clip, frames in row[:-1]:
                yield from frames[: clip.steps]
            held = row[-1:]
        (clip, frames), *_ = held
        yield from frames[: clip.steps + 1]

    def repair(self, joints: Sequence[Joint], seams: Sequence[Seam]) -> None:
        """Put the frames of these seams in place, made or saved."""
        if not joints:
            return
        paths = [seam_path(self.work.folder, seam.index) for seam in seams]
        saved = [read_arrays(path) for path in paths]
        if all(arrays is not None for arrays in saved):
            latents = np.stack([arrays["latents"] for arrays in saved if arrays is not None])
        else:
            config = self.work.config.seams
            shots = shots_of(self.work, spans_of(self.seams), config.shots)
            windows = seam_windows(joints, seams, shots)
            latents = make_windows(self.work, self.work.suite.denoiser, config.solve, windows)
            for path, made in zip(paths, latents, strict=True):
                write_arrays(path, latents=made)
        made_BFHW3 = decode_windows(self.work, latents)
        for ((left, before), (_, after)), seam, made in zip(joints, seams, made_BFHW3, strict=True):
            start, middle = seam.known, seam.known + seam.before
            before[left.steps - seam.before : left.steps] = made[start:middle]
            after[: seam.lead] = made[middle : middle + seam.lead]


def spans_of(seams: Sequence[Seam]) -> np.ndarray:
    """Model frames [B, F] of the seams' windows."""
    return np.array([seam.first for seam in seams])[:, None] + np.arange(seams[0].length)


def seam_windows(joints: Sequence[Joint], seams: Sequence[Seam], shots: int) -> Windows:
    """Windows between the last frames left of one sub-clip and the first left of the next."""
    first, last = [], []
    for ((left, before), (_, after)), seam in zip(joints, seams, strict=True):
        end = left.steps - seam.before
        first.append(before[end - seam.known : end])
        last.append(after[seam.lead : seam.lead + seam.known])
    known = between(to_unit(np.stack(first)), to_unit(np.stack(last)), seams[0].length)
    frame_BF = spans_of(seams)
    seeds = [(seam.index, 0) for seam in seams]
    pictures = [frames[0] for frames in first], [frames[-1] for frames in last]
    return Windows("seam", seeds, frame_BF.astype(float), frame_BF, known, *pictures, shots)


def retimed(frames: Iterator[np.ndarray], count: int, fps: Fraction, model_fps: Fraction) -> Iterator[np.ndarray]:
    """The `count` frames of the video: at each of its instants the model's nearest frame."""
    here, frame = -1, None
    for i in range(count):
        wanted = nearest_frame(i / fps, model_fps)
        while here < wanted and (following := next(frames, None)) is not None:
            here, frame = here + 1, following
        assert frame is not None
        yield frame
