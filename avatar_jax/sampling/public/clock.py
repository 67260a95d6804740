"""Which frames are what: the blueprint's index map, the grid of key frames, sub-clips and seams; all exact.

Frames are those of the model's own rate on the recording's clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import floor

from avatar_jax.media import BadInput
from avatar_jax.sampling.keyframes import KeyframeConfig, split_points
from avatar_jax.sampling.public.config import GRID, PublicConfig


@dataclass(frozen=True)
class BlueprintMap:
    """The published linear map: blueprint frame i of `made` stands for model frame i (frames - 1) / (made - 1)."""

    made: int
    frames: int

    def times(self) -> list[Fraction]:
        """Exact instants of the blueprint's frames, in model frames."""
        return [Fraction(i * (self.frames - 1), self.made - 1) for i in range(self.made)]

    def frame_at(self, model_frame: int) -> int:
        """The blueprint frame that stands for a model frame; beyond the recording's end the last one."""
        inside = min(model_frame, self.frames - 1)
        return floor(Fraction(inside * (self.made - 1), max(1, self.frames - 1)) + Fraction(1, 2))


def grid_points(frames: int) -> int:
    """Key-frame candidates at 0, 4, 8 ...; the last lies on or behind the last frame, and there are two or more."""
    return max(2, -(-(frames - 1) // GRID) + 1)


def lengths(config: PublicConfig, points: int) -> KeyframeConfig:
    """The key frames' limits, as tight as the window demands and as loose as a short recording needs."""
    longest = min(config.keyframes.longest, config.window - config.clips.repeat)
    longest -= longest % GRID
    limited = replace(config.keyframes, longest=longest, nominal=min(config.keyframes.nominal, longest))
    clips = len(split_points(points, GRID, limited)) - 1
    even = (points - 1) // clips * GRID
    return replace(limited, shortest=min(limited.shortest, even), reach=min(limited.reach, even // 2))


@dataclass(frozen=True)
class Clip:
    """Sub-clip `index` from key frame `first` to key frame `last`, both included, in model frames."""

    index: int
    first: int
    last: int

    @property
    def steps(self) -> int:
        """Place of the last key frame in the sub-clip."""
        return self.last - self.first


def plan_clips(key_frames: Sequence[int]) -> list[Clip]:
    return [Clip(i, first, last) for i, (first, last) in enumerate(pairwise(key_frames))]


@dataclass(frozen=True)
class Seam:
    """Frames around key frame `at`: `before` + `lead` unknown ones between `known` and `known`."""

    index: int
    at: int
    before: int
    lead: int
    known: int

    @property
    def first(self) -> int:
        return self.at - self.before - self.known

    @property
    def length(self) -> int:
        return 2 * self.known + self.before + self.lead


def plan_seams(clips: Sequence[Clip], config: PublicConfig) -> list[Seam]:
    """One for each inner key frame whose two sub-clips are long enough; numbered like the later sub-clip."""
    if config.seams.drop == 0:
        return []
    before, lead, known = config.seams.drop - config.clips.repeat, config.seams.lead, config.seams.known
    return [
        Seam(right.index, right.first, before, lead, known)
        for left, right in pairwise(clips)
        if min(left.steps, right.steps) >= lead + before + known
    ]


def part_names(frames: int, clips: Sequence[Clip], seams: Sequence[Seam]) -> list[str]:
    """Which piece of the video every model frame belongs to: "sub-clip 2" or "seam 1|2"."""
    names = [f"sub-clip {clip.index}" for clip in clips for _ in range(clip.steps)] + [f"sub-clip {clips[-1].index}"]
    for seam in seams:
        for frame in range(seam.at - seam.before, seam.at + seam.lead):
            names[frame] = f"seam {seam.index - 1}|{seam.index}"
    return names[:frames]


def require_grid(config: PublicConfig) -> None:
    """Every window has 4 n + 1 frames.

    Raises:
        BadInput: naming the value that is wrong.
    """
    seam = config.seams
    total = 2 * seam.known + seam.drop - config.clips.repeat + seam.lead
    values = {
        "--window": config.window,
        "--blueprint.frames": config.blueprint.frames,
        "--clips.repeat": config.clips.repeat,
        "--seams.known": seam.known,
    }
    if seam.drop:
        values["--seams.drop"] = total
    for name, value in values.items():
        if value < 1 or value % GRID != 1:
            what = "2 known + drop - clips.repeat + lead" if value == total and name == "--seams.drop" else "frames"
            raise BadInput(name, f"{value} frames", f"4 n + 1 frames in a window ({what})", f"{name}=5, 9, 13 ...")
    if config.blueprint.frames < 5 or config.window < config.clips.repeat + GRID:
        got = f"blueprint {config.blueprint.frames}, window {config.window}, repeat {config.clips.repeat}"
        raise BadInput("windows", got, "blueprints have 5 frames or more, windows 4 beyond the repeated ones", "more")
    if seam.drop and (seam.drop < config.clips.repeat or seam.lead < 1):
        got = f"drop {seam.drop}, lead {seam.lead}, clips.repeat {config.clips.repeat}"
        raise BadInput("--seams.drop", got, "drop counts the repeated key frames; lead is 1 or more", "--seams.drop=0")
