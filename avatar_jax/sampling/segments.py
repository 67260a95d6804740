"""Sub-clips between adjacent key frames: independent of each other, so all of them are one batch (or a few waves)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from avatar_jax.sampling.windows import FRAMES, Denoiser, Noise, SolverConfig, Windows, solve, waves, windows_of


@dataclass(frozen=True)
class SegmentConfig:
    """`tail`: 1 pins the last key frame (hard), less is a hint that fades with the noise (soft tail)."""

    wave: int = 8
    tail: float = 1.0
    solver: SolverConfig = field(default_factory=SolverConfig)


@dataclass(frozen=True)
class Segment:
    """Sub-clip `index` from key frame `first` to key frame `last`, both included, in model frames."""

    index: int
    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def plan_segments(key_frames: Sequence[int]) -> list[Segment]:
    """Sub-clips between adjacent key frames (model frames)."""
    segments = [Segment(i, first, last) for i, (first, last) in enumerate(pairwise(key_frames))]
    for segment in segments:
        if not 2 <= segment.length <= FRAMES:
            raise ValueError(f"sub-clip {segment.index} has {segment.length} frames; a window holds 2 to {FRAMES}")
    return segments


def segment_windows(segments: Sequence[Segment], keys: dict[int, np.ndarray], tail: float) -> Windows:
    """One window per sub-clip; what lies beyond its last key frame is made too, and dropped."""
    first = np.array([s.first for s in segments])
    last = np.array([s.last for s in segments])
    frame_BT = first[:, None] + np.arange(FRAMES)
    at_last = frame_BT == last[:, None]
    moments = sorted(keys)
    track_NPC = np.stack([keys[moment] for moment in moments])
    index_BT = np.searchsorted(moments, np.minimum(frame_BT, moments[-1]))
    known_BT = (frame_BT == first[:, None]) | (at_last & (tail >= 1))
    windows = windows_of(frame_BT, track_NPC, index_BT, known_BT)
    if tail >= 1:
        return windows
    return windows.hinted(np.where(at_last[..., None, None], track_NPC[index_BT % len(track_NPC)], 0), tail * at_last)


def sample_segments(
    denoise: Denoiser,
    noise: Noise,
    segments: Sequence[Segment],
    keys: dict[int, np.ndarray],
    config: SegmentConfig,
    attempts: Sequence[int],
    done: dict[int, np.ndarray],
    save: Callable[[Segment, np.ndarray], None],
) -> dict[int, np.ndarray]:
    """Latents [length, P, C] of every sub-clip by index.

    Those in `done` are not made again. The rest runs in the waves of a full run, at the same places, so that a resumed
    or partly redone video has the same bytes; `attempts[i]` is the number of the sub-clip's seed.
    """
    made = dict(done)
    for wave in waves(len(segments), config.wave):
        wanted = [i for i in wave if i not in made]
        if not wanted:
            continue
        windows = segment_windows([segments[i] for i in wave], keys, config.tail)
        noise_BTPC = np.stack([noise("segment", i, attempts[i]) for i in wave])
        clean_BTPC = solve(denoise, windows, noise_BTPC, config.solver)
        for i in wanted:
            made[i] = clean_BTPC[i - wave.start, : segments[i].length].copy()
            save(segments[i], made[i])
    return made


def assemble(segments: Sequence[Segment], made: dict[int, np.ndarray], keys: dict[int, np.ndarray]) -> np.ndarray:
    """The whole track [model frames, P, C]; at a key frame stands the key frame itself."""
    track = np.concatenate([made[s.index][:-1] for s in segments] + [made[segments[-1].index][-1:]])
    for moment, latent in keys.items():
        track[moment] = latent
    return track
