"""Key frames: near each even split point of the blueprint, the frame that is best to start and end a sub-clip on.

Kling-Avatar names four criteria and leaves the scores open; here they are numbers in [0, 1] with explicit weights:
identity (likeness to the portrait), motion (difference from the key frame before), occlusion (1: nothing covers the
face) and clarity (sharp, eyes open). The best chain under the length limits is found exactly by dynamic programming.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

VETO = 1000.0
"""Cost of a frame that fails a floor: larger than any chain's gain, yet finite, so that some frame is always chosen."""


@dataclass(frozen=True)
class KeyframeConfig:
    """Lengths in model frames; weights of the four scores; floors under which a frame is not acceptable."""

    nominal: int = 12
    reach: int = 3
    shortest: int = 6
    longest: int = 15
    identity: float = 1.0
    motion: float = 0.5
    occlusion: float = 1.0
    clarity: float = 1.0
    identity_floor: float = 0.65
    occlusion_floor: float = 0.6
    clarity_floor: float = 0.5


@dataclass(frozen=True)
class FrameScores:
    """Scores in [0, 1] of N blueprint frames; `look_ND` are features whose distance is visible change."""

    identity: Float[np.ndarray, " N"]
    occlusion: Float[np.ndarray, " N"]
    clarity: Float[np.ndarray, " N"]
    look_ND: Float[np.ndarray, "N D"]

    def motion(self, before: int, after: int) -> float:
        """0 for equal frames, towards 1 for frames that look different."""
        difference = self.look_ND[after] - self.look_ND[before]
        return float(1 - np.exp(-np.sqrt(np.mean(difference**2))))

    def still(self, config: KeyframeConfig) -> np.ndarray:
        """What each frame is worth by itself."""
        value = config.identity * self.identity + config.occlusion * self.occlusion + config.clarity * self.clarity
        bad = (
            (self.identity < config.identity_floor)
            | (self.occlusion < config.occlusion_floor)
            | (self.clarity < config.clarity_floor)
        )
        return value - VETO * bad


@dataclass(frozen=True)
class Keyframes:
    """Chosen blueprint indices, the first and the last frame included, and what was chosen from."""

    chosen: tuple[int, ...]
    candidates: tuple[tuple[int, ...], ...]
    scores: FrameScores
    stride: int

    @property
    def model_frames(self) -> tuple[int, ...]:
        """The same on the model's clock."""
        return tuple(self.stride * index for index in self.chosen)


def split_points(frames: int, stride: int, config: KeyframeConfig) -> list[int]:
    """Blueprint indices that split 0 .. frames - 1 evenly into sub-clips of about the nominal length."""
    steps = frames - 1
    clips = max(1, round(steps * stride / config.nominal), -(-steps * stride // config.longest))
    return [round(i * steps / clips) for i in range(clips + 1)]


def candidates_of(points: list[int], stride: int, config: KeyframeConfig) -> list[tuple[int, ...]]:
    """Indices within reach of each inner split point; the ends of the video are fixed."""
    reach = config.reach // stride
    inner = [tuple(range(point - reach, point + reach + 1)) for point in points[1:-1]]
    return [(points[0],), *inner, (points[-1],)]


def select_keyframes(scores: FrameScores, stride: int, config: KeyframeConfig) -> Keyframes:
    """The chain of candidates with the largest sum of scores among those whose sub-clips have allowed lengths."""
    frames = len(scores.identity)
    candidates = candidates_of(split_points(frames, stride, config), stride, config)
    still = scores.still(config)
    shortest = config.shortest if len(candidates) > 2 else 0

    best = {candidates[0][0]: 0.0}
    back: list[dict[int, int]] = []
    for options in candidates[1:]:
        came: dict[int, int] = {}
        value: dict[int, float] = {}
        for here in options:
            from_before = {
                before: best[before] + config.motion * scores.motion(before, here)
                for before in best
                if shortest <= (here - before) * stride <= config.longest
            }
            if from_before:
                came[here] = max(from_before, key=lambda before: from_before[before])
                value[here] = from_before[came[here]] + (0.0 if options is candidates[-1] else float(still[here]))
        best = value
        back.append(came)

    chosen = [candidates[-1][0]]
    for came in reversed(back):
        chosen.append(came[chosen[-1]])
    return Keyframes(tuple(reversed(chosen)), tuple(candidates), scores, stride)
