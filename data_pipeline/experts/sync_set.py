"""Windows for SyncNet's training, and held-out clips whose sound was moved by a known number of frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from avatar_jax.models.syncnet import FRAMES, PER_FRAME, SMALL, STEPS, relative, windows
from data_pipeline.clips import MemoryClip
from data_pipeline.experts.pool import Pool
from data_pipeline.experts.rendered import memory_clip
from data_pipeline.protocol import Tracks
from data_pipeline.records import FPS, SOUND_RATE
from data_pipeline.synthetic.clip import make_clip

SPAN = 60
"""Frames within which the windows of a clip lie: near ones are the hard ones."""
FARTHEST = 10
"""Frames by which a held-out clip's sound is moved at most."""
SAMPLES = SOUND_RATE // FPS
Rng = np.random.Generator


@dataclass(frozen=True)
class SyncWindows:
    """Draws windows from a pool of mouths and their sound."""

    pool: Pool

    @cached_property
    def heard(self) -> list[np.ndarray]:
        return [relative(clip["mfcc_FK"]) for clip in self.pool.clips]

    @cached_property
    def talking(self) -> np.ndarray:
        """Clips whose sound is not one steady noise: in silence there is nothing to learn."""
        loud = [np.ptp(np.quantile(clip["mfcc_FK"][:, 0], [0.05, 0.95])) > 2 for clip in self.pool.clips]
        return np.flatnonzero(loud)

    def batch(self, rng: Rng, clips: int, count: int) -> dict[str, np.ndarray]:
        """`training.syncnet_stage.Windows`."""
        rows = [self.clip_windows(rng, int(i), count) for i in rng.choice(self.talking, clips, replace=False)]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def clip_windows(self, rng: Rng, index: int, count: int) -> dict[str, np.ndarray]:
        mouths, heard = self.pool.clips[index]["mouth_THW"], self.heard[index]
        room = windows(len(mouths), len(heard))
        span = min(SPAN, room)
        at = int(rng.integers(room - span + 1)) + np.sort(rng.choice(span, count, replace=False))
        seen = recorded(rng, mouths[at[:, None] + np.arange(FRAMES)])
        sound = heard[at[:, None] * PER_FRAME + np.arange(STEPS)]
        sound = sound * rng.uniform(0.8, 1.25) + rng.normal(0, rng.uniform(0, 0.25), sound.shape)
        return {"seen": seen[..., None], "heard": sound.astype(np.float32), "at": at.astype(np.int32)}


def recorded(rng: Rng, crops_NFHW: np.ndarray) -> np.ndarray:
    """The square as another finder would lay it, mirrored or not, in another light."""
    room = crops_NFHW.shape[-1] - SMALL.side
    y, x = rng.integers(0, room + 1, 2)
    out = crops_NFHW[..., y : y + SMALL.side, x : x + SMALL.side].astype(np.float32)
    if rng.random() < 0.5:
        out = out[..., ::-1]
    out = out * rng.uniform(0.75, 1.2) + rng.uniform(-12, 12) + rng.normal(0, rng.uniform(0, 5), out.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


def shifted(whole: MemoryClip, shift: int, sound: np.ndarray | None = None) -> MemoryClip:
    """The middle of a clip, `FARTHEST` frames shorter at both ends, with sound that comes `shift` frames early.

    `sound`: instead of the clip's own. The offset that SyncNet should read of the clip is `shift`.
    """
    assert whole.tracks is not None
    keep = slice(FARTHEST, whole.count - FARTHEST)
    start = (FARTHEST + shift) * SAMPLES
    tracks = whole.tracks
    cut = Tracks(
        tracks.heads_TB[keep], tracks.mouths_TB[keep], tracks.pose_T3[keep], tracks.found_T[keep], 1, tracks.drawn
    )
    frames = whole.frames_THW3[keep]
    mono = (whole.mono if sound is None else sound)[start : start + len(frames) * SAMPLES]
    return MemoryClip(frames, mono, cut)


def shifted_clips(first: int, count: int, side: int = 192) -> Iterator[tuple[MemoryClip, int, str]]:
    """Held-out clips of 4 s that speak or sing: (clip, shift of its sound in frames, what was done).

    Each comes twice: "moved" by a random shift of -10 to 10, and "dubbed" with another clip's sound (shift 0).
    """
    seed, given = first, 0
    seconds = 4.0 + 2 * FARTHEST / FPS
    while given < count:
        drawn, other = (make_clip(s, "heldout", (seconds, seconds)) for s in (seed, seed + 500_000))
        shift = int(np.random.default_rng([seed, 15]).integers(-FARTHEST, FARTHEST + 1))
        seed += 1
        if "silence" in (drawn.speech.mode, other.speech.mode):
            continue
        given += 1
        clip = memory_clip(drawn, side)
        yield shifted(clip, shift), shift, "moved"
        yield shifted(clip, 0, other.speech.wave.astype(np.float32) / 32768), 0, "dubbed"
