"""Seams: the frames around an inner key frame, made again from the sound at exactly these instants.

A key frame is pinned where the blueprint was made, at a low rate; hard first-and-last conditioning keeps its mouth
whatever is being said, which costs lip sync. So the `reach` frames on either side and the key
frame itself are generated once more between the sub-clips' own frames, the key frame only as a fading hint. A seam
sees no frame beyond the two sub-clips that it joins, so redoing a sub-clip touches its own two seams and no other.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.sampling.segments import Segment
from avatar_jax.sampling.windows import FRAMES, Denoiser, Noise, SolverConfig, solve, waves, windows_of


@dataclass(frozen=True)
class SeamConfig:
    """`reach`: frames made again on either side, 0 for none; `hold`: pull of the key frame; `blend`: frames on either
    side that a cross-fade over the seam replaces instead. `sampling.joins` names the ways that are compared."""

    reach: int = 2
    hold: float = 0.5
    blend: int = 0
    wave: int = 8
    solver: SolverConfig = field(default_factory=lambda: SolverConfig(steps=4, guidance=Guidance(text=1.5, audio=1.0)))

    @property
    def width(self) -> int:
        """Frames on either side of a seam that depend on both sub-clips."""
        return max(self.reach, self.blend)


def window_start(seam: int, end: int) -> int:
    """First frame of a seam's window: the seam in the middle, within 0 .. end where the track is long enough."""
    return max(0, min(seam - FRAMES // 2, end - FRAMES + 1))


def repair_seams(
    denoise: Denoiser, noise: Noise, track_NPC: np.ndarray, segments: Sequence[Segment], config: SeamConfig
) -> np.ndarray:
    """The track with every inner key frame's surroundings made again (or mixed); all else bit-equal."""
    repaired = track_NPC.copy()
    joints = list(pairwise(segments))
    if config.blend:
        for left, _ in joints:
            mix(repaired, left.last, config.blend)
    if not config.reach:
        return repaired
    for wave in waves(len(joints), config.wave):
        starts = np.array([window_start(joints[i][0].last, segments[-1].last) for i in wave])
        frame_BT = starts[:, None] + np.arange(FRAMES)
        spans = np.array([(joints[i][0].first, joints[i][0].last, joints[i][1].last) for i in wave])
        low_B1, seam_B1, high_B1 = spans[:, :1], spans[:, 1:2], spans[:, 2:]
        unknown_BT = np.abs(frame_BT - seam_B1) <= config.reach
        known_BT = ~unknown_BT & (frame_BT >= low_B1) & (frame_BT <= high_B1)
        at_key_BT = frame_BT == seam_B1
        everything = windows_of(frame_BT, track_NPC, frame_BT, np.ones_like(known_BT)).known_BTPC
        windows = windows_of(frame_BT, track_NPC, frame_BT, known_BT).hinted(everything, config.hold * at_key_BT)
        noise_BTPC = np.stack([noise("seam", i, 0) for i in wave])
        clean_BTPC = solve(denoise, windows, noise_BTPC, config.solver)
        for frames, made, unknown in zip(frame_BT, clean_BTPC, unknown_BT, strict=True):
            inside = unknown & (frames < len(track_NPC))
            repaired[frames[inside]] = made[inside]
    return repaired


def part_of(time: Fraction, segments: Sequence[Segment], width: int) -> str:
    """Which piece of the video a frame at `time` (in model frames) belongs to: "sub-clip 2", or "seam 2|3".

    Redoing sub-clip 2 changes "seam 1|2", "sub-clip 2" and "seam 2|3", and nothing else. `width`: see `SeamConfig`.
    """
    index = min(bisect_right([s.first for s in segments], time), len(segments)) - 1
    if index > 0 and time - segments[index].first < width + 1:
        return f"seam {index - 1}|{index}"
    if index + 1 < len(segments) and segments[index].last - time < width + 1:
        return f"seam {index}|{index + 1}"
    return f"sub-clip {index}"


def mix(track_NPC: np.ndarray, seam: int, reach: int) -> None:
    """Replace, in place, the frames within `reach` of the seam by a cross-fade from the one just before to the one just
    after them."""
    low, high = max(0, seam - reach - 1), min(len(track_NPC) - 1, seam + reach + 1)
    share = np.linspace(0, 1, high - low + 1, dtype=np.float32)[:, None, None]
    track_NPC[low : high + 1] = (1 - share) * track_NPC[low] + share * track_NPC[high]
