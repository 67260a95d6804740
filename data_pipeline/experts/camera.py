"""Camera switching: does the picture go on without a cut? A classifier of six frames, and a rule for hard cuts."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.models.classifier import CONTINUITY, classify
from data_pipeline.experts.cut_rule import SIDE, likeness
from data_pipeline.experts.pool import small
from data_pipeline.experts.splices import BEFORE, FRAMES
from data_pipeline.experts.trained import load_trained
from data_pipeline.protocol import Clip, Verdict


@dataclass(frozen=True)
class CameraExpert:
    """Score: probability, 0 to 1, that no two neighbouring frames are spliced; 0 where the rule sees a hard cut."""

    threshold: float
    version: str
    params: Any = field(repr=False)
    name: str = "camera"

    def judge(self, clip: Clip) -> Verdict:
        frames = list(clip.frames(side=SIDE))
        if len(frames) < FRAMES:
            reason = f"{len(frames)} frames, a switch is seen in {FRAMES} or more"
            return Verdict(None, "unavailable", reason=reason)
        alike, going_on = likeness(frames), self.look(np.stack(frames))
        worst = int(going_on.argmin())
        facts = {"rule": round(float(alike.min()), 3), "classifier": round(float(going_on[worst]), 4)}
        if alike.min() < 0:
            at = int(alike.argmin()) + 1
            return Verdict(0.0, "rejected", at, f"a hard cut at frame {at}", facts)
        score, at = float(going_on[worst]), worst + BEFORE
        if score >= self.threshold:
            return Verdict(score, "passed", at, facts=facts)
        reason = f"the picture does not go on at frame {at} ({score:.3f} < {self.threshold:.3f})"
        return Verdict(score, "rejected", at, reason, facts)

    def look(self, frames_THW3: np.ndarray) -> np.ndarray:
        """[T - 5]: probability for each window of six frames that its third and fourth belong together."""
        grey = small(frames_THW3, CONTINUITY.side)
        windows = np.lib.stride_tricks.sliding_window_view(grey, FRAMES, axis=0)
        return classify(CONTINUITY, self.params, np.ascontiguousarray(windows))


def camera_expert(path: Path | None = None) -> CameraExpert:
    """With the shipped weights, or those of a file."""
    trained = load_trained("camera", path)
    return CameraExpert(trained.threshold, trained.version, trained.params)
