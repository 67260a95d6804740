"""Sub-clips between adjacent key frames: independent of each other, so all of them are one batch (or a few waves)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.sampling.windows import FRAMES, Denoiser, Noise, SolverConfig, Windows, solve, waves, windows_of


@dataclass(frozen=True)
class SegmentConfig:
    """`tail`: 1 pins the last key frame (hard); less only pulls the sub-clip's end towards it, a pull that fades with
    the noise (soft tail); `lean`: frames before the last that are pulled too, the earlier the less."""

    wave: int = 8
    tail: float = 1.0
    lean: int = 0
    solver: SolverConfig = field(default_factory=lambda: SolverConfig(steps=4, guidance=Guidance(text=1.5, audio=1.0)))


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


def segment_windows(segments: Sequence[Segment], keys: dict[int, np.ndarray], config: SegmentConfig) -> Windows:
    """One window per sub-clip; what lies beyond its last key frame is made too, and dropped."""
    first = np.array([s.first for s in segments])[:, None]
    last = np.array([s.last for s in segments])[:, None]
    frame_BT = first + np.arange(FRAMES)
    moments = sorted(keys)
    track_NPC = np.stack([keys[moment] for moment in moments])
    index_BT = np.searchsorted(moments, np.minimum(frame_BT, moments[-1]))
    pinned = config.tail >= 1
    windows = windows_of(frame_BT, track_NPC, index_BT, (frame_BT == first) | ((frame_BT == last) & pinned))
    if pinned:
        return windows
    before_BT = last - frame_BT
    pull_BT = np.where(before_BT >= 0, np.clip(1 - before_BT / (config.lean + 1), 0, 1), 0) * (frame_BT > first)
    wish_BTPC = np.broadcast_to(track_NPC[np.searchsorted(moments, last[:, 0])][:, None], windows.known_BTPC.shape)
    return windows.hinted(wish_BTPC, config.tail * pull_BT)


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
        windows = segment_windows([segments[i] for i in wave], keys, config)
        noise_BTPC = np.stack([noise("segment", i, attempts[i]) for i in wave])
        clean_BTPC = solve(denoise, windows, noise_BTPC, config.solver)
        for i in wanted:
            made[i] = clean_BTPC[i - wave.start, : segments[i].length].copy()
            save(segments[i], made[i])
    return made


def assemble(segments: Sequence[Segment], made: dict[int, np.ndarray]) -> np.ndarray:
    """The whole track [model frames, P, C]. Where two sub-clips meet stands the end of the first: the key frame
    itself where it is pinned, and what the sound made of it where it is not."""
    return np.concatenate([made[segments[0].index], *(made[s.index][1:] for s in segments[1:])])
