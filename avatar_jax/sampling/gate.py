"""The gate: looks at every sub-clip as a viewer would, and asks for another try where one is not good enough.

It measures with the functions of `metrics` that the evaluation scores with, but reads with a reader of its own, which
is never the evaluation's judge (docs/architecture.md): what is scored must not be what was chosen by.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from avatar_jax.metrics import jumps, liveness, quality, sync
from avatar_jax.metrics.reading import Readings
from avatar_jax.metrics.sharpness import sharpness
from avatar_jax.models.audio_encoder import FEATURE_RATE
from avatar_jax.models.reader import READINGS, SPREAD
from avatar_jax.sampling.keyframes import FrameScores
from avatar_jax.sampling.pictures import Pictures
from avatar_jax.sampling.request import MODEL_FPS
from avatar_jax.sampling.segments import Segment
from avatar_jax.timeline import seconds_of

LOOK = ("smile", "brow", "yaw", "pitch", "roll", "log_zoom", "face_x", "face_y")
"""Readings whose change is visible motion; the mouth is left out, since it moves all the time."""
MOUTH = ("open", "spread")
"""Readings that the sound decides: the first two shapes of the audio encoder."""
MOUTH_WEIGHT = np.array([1.0, 0.5])
"""How much of each counts in sync: both the reader and the ear know the opening better."""
SYNC_STEP = Fraction(1, 25)
"""Seconds of one frame of lateness, as lip sync is commonly counted."""
REACH, APART = 10, 3
"""Frames of lateness that are tried to either side, and from how many on a sub-clip counts as out of sync."""
SHARP = 3
"""Frames from one whose sharpness is measured to the next."""
LEAST = 6
"""Frames from which a sub-clip can be called out of sync."""
ALIVE = 4
"""Frames from which one that does not change can be called frozen."""


@dataclass(frozen=True)
class GateConfig:
    """Limits of a good sub-clip, and `retries`: tries after the first, each from a new seed.

    The limits lie in the gap between good sub-clips of held-out characters and the same ones with planted faults, by
    the table of `python -m avatar_jax.evaluation gate --calibrate`; the same command without `--calibrate` tells what
    they do to other characters (docs/benchmarks.md, "The gate").
    """

    identity: float = 0.65
    """Least mean likeness to the portrait: strangers reach 0.45, good ones fall to 0.8."""
    clarity: float = 0.4
    """Least mean clarity as the reader sees it."""
    sharp: float = 0.12
    """Least sharpness, of the portrait's: good ones fall to 0.15, since the codec softens all that it makes."""
    mouth: float = 0.5
    """Largest mean distance between the opening that is seen and the one that is heard; loose, since some characters
    open their mouths wider than others."""
    lead: float = 0.0
    """The mouth must fit the sound better, by more than this much correlation, than a sound that is early or late by
    APART frames or more."""
    spoken: float = 0.06
    """Least spread of the heard opening at which `lead` means anything: a shut mouth is never late."""
    jump: float = 6.0
    """Largest change at either end over the median change inside."""
    colour: float = 5.0
    """Largest change of the mean colour at either end, in levels of 255."""
    stops: float = 0.4
    """Largest share of the sub-clip that stands still in long stretches."""
    dark: float = 0.0
    """Largest share of frames that show nothing."""
    again: float = 0.35
    """Mean distance of the mouth, as above, from which on another try is made although this one is good enough: the
    better of the two is kept. Of 12 held-out cases the judge then sees a sync_corr of 0.931 instead of 0.917."""
    retries: int = 1


@dataclass(frozen=True)
class ClipScore:
    """What was measured in one sub-clip; see `GateConfig` for the units.

    `offset`: frames of lateness at which the mouth fits the sound best; `dead`: why nobody would call this a video
    ("black", "flat", "frozen"), or nothing. `lead` and `offset` are None where nothing is said, `jump` where nothing
    moves.
    """

    identity: float
    clarity: float
    sharp: float
    mouth: float
    lead: float | None
    offset: int | None
    jump: float | None
    colour: float
    frozen: float
    black: float
    dead: str | None

    def faults(self, config: GateConfig) -> tuple[str, ...]:
        """What is not good enough, by the names of the limits."""
        broken = {
            self.dead or "dead": self.dead is not None,
            "identity": self.identity < config.identity,
            "clarity": self.clarity < config.clarity,
            "sharp": self.sharp < config.sharp,
            "mouth": self.mouth > config.mouth,
            "lead": self.lead is not None and self.lead <= config.lead,
            "jump": self.jump is not None and self.jump > config.jump,
            "colour": self.colour > config.colour,
            "stops": self.frozen > config.stops,
            "dark": self.black > config.dark,
        }
        return tuple(name for name, is_broken in broken.items() if is_broken)

    def wants_another(self, config: GateConfig) -> bool:
        return bool(self.faults(config)) or self.mouth > config.again

    def rank(self, config: GateConfig) -> tuple[float, ...]:
        """The larger the better: alive before dead, then fewer faults, then likeness, sharpness and sync together."""
        worth = self.identity + min(self.sharp, 1.0) - self.mouth + (self.lead or 0.0)
        return (-float(self.dead is not None), -len(self.faults(config)), worth)

    def as_dict(self) -> dict[str, Any]:
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def score_frames(readings: Readings, portrait: Readings) -> FrameScores:
    """Key-frame scores of blueprint frames, all in [0, 1]: likeness to the portrait, mouth uncovered, sharp with open
    eyes."""
    columns = [READINGS.index(name) for name in LOOK]
    return FrameScores(
        identity=np.clip(readings.identity_ND @ portrait.identity_ND[0], 0, 1),
        occlusion=1 - np.clip(readings.of("occlude"), 0, 1),
        clarity=np.clip(readings.of("clarity"), 0, 1) * (1 - np.clip(readings.of("blink"), 0, 1)),
        look_ND=readings.values_NR[:, columns] / np.array(SPREAD)[columns],
    )


@dataclass(frozen=True)
class Standard:
    """What sub-clips are held against: the portrait as it is read, its sharpness, the mouth shapes heard (50 Hz)."""

    portrait: Readings
    sharpness: float
    shapes_T4: Float[np.ndarray, "T 4"]

    def mouth_at(self, seconds: Float[np.ndarray, "..."]) -> Float[np.ndarray, "... 2"]:
        """Opening and spread that the sound asks for at these instants."""
        where = np.clip(np.asarray(seconds) * FEATURE_RATE, 0, len(self.shapes_T4) - 1)
        known = np.arange(len(self.shapes_T4))
        return np.stack([np.interp(where, known, self.shapes_T4[:, i]) for i in range(len(MOUTH))], axis=-1)


def examine(
    frames_NHW3: UInt8[np.ndarray, "N H W 3"],
    readings: Readings,
    seconds: Float[np.ndarray, " N"],
    standard: Standard,
    config: GateConfig,
) -> tuple[ClipScore, Float[np.ndarray, "2 N"]]:
    """The score of one sub-clip from its frames, what is read in them and when they are shown; and the mouth opening
    seen and heard in every frame."""
    seen = np.stack([readings.of(name) for name in MOUTH], axis=-1)
    heard = standard.mouth_at(seconds)
    spoken = len(seconds) >= LEAST and heard[:, 0].std() >= config.spoken
    late = np.arange(-REACH, REACH + 1)
    at = sync.shift_correlations(
        seen * MOUTH_WEIGHT, standard.mouth_at(seconds - late[:, None] * float(SYNC_STEP)) * MOUTH_WEIGHT
    )
    change = quality.changes(frames_NHW3)
    ends = [jumps.seam_jump(change, [place]) for place in (1, len(change))]
    colour = np.abs(np.diff(frames_NHW3.mean(axis=(1, 2)), axis=0)).max(axis=-1)
    most = np.array([np.abs(a.astype(np.int16) - b).max() for a, b in pairwise(frames_NHW3)])
    score = ClipScore(
        identity=float((readings.identity_ND @ standard.portrait.identity_ND[0]).mean()),
        clarity=float(readings.of("clarity").mean()),
        sharp=float(np.median([sharpness(frame) for frame in frames_NHW3[::SHARP]])) / max(standard.sharpness, 1e-9),
        mouth=float(np.abs(seen - heard)[:, 0].mean()),
        lead=sync.lead(at, APART) if spoken else None,
        offset=int(late[np.lexsort((np.abs(late), -at))[0]]) if spoken else None,
        jump=max(ends) if np.isfinite(ends).all() else None,
        colour=float(max(colour[0], colour[-1])),
        frozen=liveness.frozen_share(most, float(MODEL_FPS)),
        black=liveness.black_share(frames_NHW3.max(axis=(1, 2, 3))),
        dead=quality.is_lifeless(frames_NHW3, ALIVE),
    )
    return score, np.stack([seen[:, 0], heard[:, 0]])


def inspect(
    pictures: Pictures,
    standard: Standard,
    clips: Sequence[tuple[Segment, np.ndarray]],
    config: GateConfig,
) -> list[tuple[ClipScore, np.ndarray]]:
    """`examine` for every (sub-clip, its latents)."""
    frames = np.stack(list(pictures.views(latent for _, made in clips for latent in made)))
    readings = pictures.read(frames)
    found, start = [], 0
    for segment, made in clips:
        rows = slice(start, start + len(made))
        start += len(made)
        mine = Readings(readings.values_NR[rows], readings.identity_ND[rows])
        seconds = seconds_of(np.arange(segment.first, segment.last + 1), MODEL_FPS)
        found.append(examine(frames[rows], mine, seconds, standard, config))
    return found
