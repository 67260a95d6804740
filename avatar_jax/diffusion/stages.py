"""Which guidance and which model are in force at which noise levels, as consecutive stages of a list of levels.

Guidance helps at middle noise and harms or does nothing elsewhere (Kynkaanniemi et al. 2024), and Wan 2.2 A14B has one
expert for high noise and one for low. Both are choices by noise level. The list is cut where the choice changes and
each piece becomes its own loop, so steps without guidance run without the passes that guidance needs.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, TypeVar

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.diffusion.solver import Stage

Choice = TypeVar("Choice", bound=Hashable)

UNGUIDED = Guidance(text=1.0, audio=1.0, negative=0.0)


@dataclass(frozen=True)
class Run(Generic[Choice]):
    """Steps `start` to `stop` - 1, for all of which `choice` was chosen."""

    choice: Choice
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Interval:
    """Noise levels from `low` to `high`, both included; a step belongs to the level that it starts from."""

    low: float = 0.0
    high: float = 1.0

    def __contains__(self, level: float) -> bool:
        return self.low <= level <= self.high


@dataclass(frozen=True)
class Expert:
    """One of two models that share the noise levels: Wan 2.2 A14B at 0.875 (from text) or 0.9 (from an image)."""

    index: int
    """0 at and above the boundary, 1 below."""
    guidance: Guidance


def guidance_within(scales: Guidance, interval: Interval) -> Callable[[float], Guidance]:
    """The scales inside the interval, none outside."""
    return lambda level: scales if level in interval else UNGUIDED


def experts(
    boundary: float, high: Callable[[float], Guidance], low: Callable[[float], Guidance]
) -> Callable[[float], Expert]:
    """The high-noise expert and its guidance at levels of at least `boundary`, the other below."""
    return lambda level: Expert(0, high(level)) if level >= boundary else Expert(1, low(level))


def runs(levels: Sequence[float], choose: Callable[[float], Choice]) -> list[Run[Choice]]:
    """The steps of a list of n + 1 noise levels, grouped while the choice stays the same.

    Levels are rounded to six digits first: float32 lists hold 0.8 as a little more and 0.9 as a little less.
    """
    found: list[Run[Choice]] = []
    start = 0
    for choice, steps in groupby(choose(round(float(level), 6)) for level in levels[:-1]):
        stop = start + len(list(steps))
        found.append(Run(choice, start, stop))
        start = stop
    return found


def stages(runs: Sequence[Run[Choice]], stage_of: Callable[[Choice], Stage]) -> list[Stage]:
    """For `solver.integrate`: `stage_of` makes the velocity (and memory) of a choice, its steps are filled in here."""
    made = [(stage_of(run.choice), run) for run in runs]
    return [Stage(stage.velocity, run.start, run.stop, stage.memory) for stage, run in made]
