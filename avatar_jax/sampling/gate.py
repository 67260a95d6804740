"""The gate: reads every sub-clip as a viewer would, and asks for another try where one is not good enough.

Its reader is never the one that the evaluation scores with (docs/architecture.md).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from avatar_jax.metrics.reading import Readings
from avatar_jax.models.audio_encoder import FEATURE_RATE
from avatar_jax.models.reader import READINGS, SPREAD
from avatar_jax.sampling.keyframes import FrameScores
from avatar_jax.sampling.pictures import Pictures
from avatar_jax.sampling.request import MODEL_FPS
from avatar_jax.sampling.segments import Segment
from avatar_jax.timeline import seconds_of

LOOK = ("smile", "brow", "yaw", "pitch", "roll", "log_zoom", "face_x", "face_y")
"""Readings whose change is visible motion; the mouth is left out, since it moves all the time."""


@dataclass(frozen=True)
class GateConfig:
    """`every`: model frames from one frame read to the next; limits of a good sub-clip; tries after the first."""

    every: int = 3
    identity: float = 0.65
    clarity: float = 0.5
    mouth: float = 0.35
    retries: int = 1


@dataclass(frozen=True)
class ClipScore:
    """Means over the frames read: likeness and sharpness in [0, 1]; `mouth`: mean distance between the opening that
    is seen and the opening that is heard (0 best)."""

    identity: float
    clarity: float
    mouth: float

    def passes(self, config: GateConfig) -> bool:
        return self.identity >= config.identity and self.clarity >= config.clarity and self.mouth <= config.mouth

    @property
    def total(self) -> float:
        return self.identity + self.clarity - self.mouth

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


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


def heard_opening(shapes_T4: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Mouth opening that the sound asks for at these instants (the audio encoder's first shape)."""
    where = np.clip(np.asarray(seconds) * FEATURE_RATE, 0, len(shapes_T4) - 1)
    return np.interp(where, np.arange(len(shapes_T4)), shapes_T4[:, 0])


def inspect(
    pictures: Pictures,
    portrait: Readings,
    shapes_T4: np.ndarray,
    clips: Sequence[tuple[Segment, np.ndarray]],
    config: GateConfig,
) -> list[tuple[ClipScore, np.ndarray]]:
    """For every (sub-clip, its latents): its score, and [2, n] the mouth opening seen and heard at the frames read."""
    places = [np.arange(config.every // 2, segment.length, config.every) for segment, _ in clips]
    latents = (made[i] for (_, made), where in zip(clips, places, strict=True) for i in where)
    readings = pictures.read(pictures.views(latents))
    found, start = [], 0
    for (segment, _), where in zip(clips, places, strict=True):
        rows = slice(start, start + len(where))
        start += len(where)
        seen = readings.of("open")[rows]
        heard = heard_opening(shapes_T4, seconds_of(segment.first + where, MODEL_FPS))
        score = ClipScore(
            float((readings.identity_ND[rows] @ portrait.identity_ND[0]).mean()),
            float(readings.of("clarity")[rows].mean()),
            float(np.abs(seen - heard).mean()),
        )
        found.append((score, np.stack([seen, heard])))
    return found
