"""Mouth clarity: is the mouth sharp, bare, free of noise and where the track says it is?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.models.classifier import MOUTH, classify
from data_pipeline.clips import crops
from data_pipeline.experts.framing import mouth_squares
from data_pipeline.experts.trained import Faces, kind, load_trained, no_judge
from data_pipeline.protocol import Clip, Verdict

LOOKS = 12
"""Frames of a clip that are looked at, evenly spaced."""
WORST = 0.25
"""The score is this quantile of the frames' probabilities: a mouth that is hidden for a third of a clip counts."""


@dataclass(frozen=True)
class MouthExpert:
    """Score: probability, 0 to 1, that the mouth is clear in the worst quarter of the frames."""

    threshold: float
    version: str
    params: Any = field(repr=False)
    faces: Faces = "drawn"
    name: str = "mouth"

    def judge(self, clip: Clip) -> Verdict:
        tracks = clip.tracks
        if tracks is None or self.faces not in (kind(tracks), "all"):
            return no_judge(tracks, self.faces)
        step = max(1, clip.count // LOOKS)
        frames = list(clip.frames(step=step))
        clear = self.look(crops(clip, mouth_squares(tracks)[::step][: len(frames)], MOUTH.side, frames))
        if not len(clear):
            return Verdict(None, "unavailable", reason="a clip without frames")
        score, worst = float(np.quantile(clear, WORST)), int(clear.argmin())
        if score >= self.threshold:
            return Verdict(score, "passed", worst * step)
        return Verdict(score, "rejected", worst * step, f"the mouth is not clear ({score:.3f} < {self.threshold:.3f})")

    def look(self, pictures: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Probability that the mouth is clear in each crop uint8 [N, 64, 64, 3]."""
        return classify(MOUTH, self.params, np.asarray(pictures))


def mouth_expert(path: Path | None = None) -> MouthExpert:
    """With the shipped weights, or those of a file."""
    trained = load_trained("mouth", path)
    return MouthExpert(trained.threshold, trained.version, trained.params, trained.faces)
