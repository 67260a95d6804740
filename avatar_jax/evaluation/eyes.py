"""The judge with its weights: the one reader of every evaluation."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.evaluation.case import Look, Watch
from avatar_jax.media import BadInput
from avatar_jax.metrics import quality
from avatar_jax.metrics.judging import judge_frames
from avatar_jax.models.judge import JudgeConfig
from avatar_jax.weights import ship


@dataclass(frozen=True)
class Eyes:
    """The judge with its weights."""

    params: Any
    config: JudgeConfig

    @classmethod
    def open(cls, path: Path) -> "Eyes":
        """Raises BadInput where the file holds another network."""
        params, note = ship.load(path)
        if "far_stem" not in params:
            rule = "a judge of this version is needed"
            raise BadInput(f"judge {path}", "another network", rule, "train it, or give --judge FILE")
        return cls(params, JudgeConfig(**note["config"]["model"]))

    def look(self, frames: Iterable[np.ndarray], portrait: np.ndarray) -> Look:
        """Read a stream of frames."""
        watch = Watch()
        judged = judge_frames(self.params, self.config, watch.through(frames), portrait)
        lifeless = quality.is_lifeless(np.stack(watch.little))
        return Look(judged, np.array(watch.change), np.stack(watch.colour), lifeless)
