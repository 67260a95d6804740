"""Audio-aligned frame insertion: output instants that no model frame shows are generated from the sound at their own
times; straight lines between known frames and plain repetition are here to be compared with.

The windows hold frames that are known and the instants between them as unknown; any output rate works, on the model's
grid or off it. The model may first halve the spacing of the known frames, once or more, before it (or a straight line)
makes the instants that were asked for. Windows part at the frames just outside the seams, so that redoing a sub-clip
changes no inserted frame beyond its own two seams.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Literal

import numpy as np

from avatar_jax.sampling.segments import Segment
from avatar_jax.sampling.windows import FRAMES, Denoiser, Noise, SolverConfig, solve, waves, windows_of
from avatar_jax.timeline import Timeline

PAD_STEP = Fraction(1, 2)
"""Spacing, in model frames, of instants that only fill a window up; they are dropped."""

Between = Callable[[np.ndarray, Fraction], np.ndarray]
"""(known frames [N, P, C], a time counted in them) -> latents [P, C] at that time, without a model."""


def mixed(known_NPC: np.ndarray, time: Fraction) -> np.ndarray:
    """On the straight line between the known frames before and after."""
    before = floor(time)
    share = np.float32(time - before)
    return known_NPC[before] if not share else (1 - share) * known_NPC[before] + share * known_NPC[before + 1]


def repeated(known_NPC: np.ndarray, time: Fraction) -> np.ndarray:
    """The known frame before."""
    return known_NPC[floor(time)]


@dataclass(frozen=True)
class InsertionConfig:
    """`halvings`: how often the model halves the spacing of the 12.5 frames a second first; `rest`: how the output's
    instants are then made where no frame lies. Neighbours on both sides are known, so few steps are enough."""

    wave: int = 16
    halvings: int = 0
    rest: Literal["generate", "mix", "repeat"] = "generate"
    solver: SolverConfig = field(default_factory=lambda: SolverConfig(steps=3))

    @property
    def between(self) -> Between | None:
        """What makes the last instants without the model; None where the model does."""
        return {"generate": None, "mix": mixed, "repeat": repeated}[self.rest]


@dataclass(frozen=True)
class InsertionWindow:
    """Instants of one window in model frames. `known` is the number of the known frame, -1 where the instant is to be
    made, and `output` the number of the instant that it becomes, -1 for known frames and padding."""

    times: tuple[Fraction, ...]
    known: tuple[int, ...]
    output: tuple[int, ...]


@dataclass(frozen=True)
class Rung:
    """`times` (model frames, in order) made by the model from known frames that lie `step` apart."""

    times: tuple[Fraction, ...]
    step: Fraction
    windows: tuple[InsertionWindow, ...]


def parting_frames(segments: Sequence[Segment], reach: int, end: int) -> list[int]:
    """Model frames at which windows part: the ends and the known frames on either side of every seam."""
    around = {s.last + side for s in segments[:-1] for side in (-reach - 1, reach + 1)}
    return sorted({0, end} | {frame for frame in around if 0 < frame < end})


def plan_insertion(
    timeline: Timeline, segments: Sequence[Segment], reach: int, config: InsertionConfig | None = None
) -> list[Rung]:
    """What the model has to make, rung by rung; `reach` is how far from a seam frames may change in a redo."""
    config = config or InsertionConfig()
    outputs = tuple(i * timeline.model_fps / timeline.fps for i in range(timeline.frames))
    end = max(1, ceil(outputs[-1]))
    parts = parting_frames(segments, reach, end)
    rungs, step = [], Fraction(1)
    for _ in range(config.halvings):
        rungs.append(plan_rung(tuple(i * step / 2 for i in range(int(end / step) * 2 + 1)), step, parts))
        step /= 2
    return rungs if config.between else [*rungs, plan_rung(outputs, step, parts)]


def plan_rung(times: tuple[Fraction, ...], step: Fraction, parts: Sequence[int]) -> Rung:
    """Windows in time order; each instant off the known grid lies in exactly one of them."""
    between: dict[int, list[tuple[Fraction, int]]] = {}
    for i, time in enumerate(times):
        if (time / step).denominator != 1:
            between.setdefault(floor(time / step), []).append((time, i))
    windows: list[InsertionWindow] = []
    for low, high in pairwise([int(part / step) for part in parts]):
        start = low
        while start < high:
            entries = [(start * step, start, -1)]
            stop = start
            while stop < high:
                more = [(time, -1, i) for time, i in between.get(stop, [])] + [((stop + 1) * step, stop + 1, -1)]
                if len(entries) + len(more) > FRAMES:
                    break
                entries += more
                stop += 1
            if stop == start:
                raise ValueError(f"more than {FRAMES - 2} instants lie between two known frames")
            if any(known < 0 for _, known, _ in entries):
                windows.append(_padded(entries))
            start = stop
    return Rung(times, step, tuple(windows))


def _padded(entries: list[tuple[Fraction, int, int]]) -> InsertionWindow:
    last = entries[-1][0]
    filling = [(last + PAD_STEP * (k + 1), -1, -1) for k in range(FRAMES - len(entries))]
    times, known, output = zip(*(entries + filling), strict=True)
    return InsertionWindow(times, known, output)


def insert_frames(
    denoise: Denoiser,
    noise: Noise,
    track_NPC: np.ndarray,
    timeline: Timeline,
    plan: Sequence[Rung],
    config: InsertionConfig,
) -> Iterator[np.ndarray]:
    """Latents [P, C] of every output frame, in order; of the last rung, a wave of windows at a time is in memory."""
    between = config.between
    known_NPC, step = track_NPC, Fraction(1)
    for level, rung in enumerate(plan):
        made = climb(denoise, noise, known_NPC, rung, level, config)
        if between is None and level == len(plan) - 1:
            yield from made
            return
        known_NPC, step = np.stack(list(made)), step / 2
    if between is not None:
        ratio = timeline.model_fps / timeline.fps / step
        for i in range(timeline.frames):
            yield between(known_NPC, i * ratio)


def climb(
    denoise: Denoiser, noise: Noise, known_NPC: np.ndarray, rung: Rung, level: int, config: InsertionConfig
) -> Iterator[np.ndarray]:
    """Latents of a rung's instants, in order; those on the known grid are the known frames themselves."""
    ready: dict[int, np.ndarray] = {}
    coming = iter(waves(len(rung.windows), config.wave))
    for i, time in enumerate(rung.times):
        at = time / rung.step
        if at.denominator == 1:
            yield known_NPC[int(at)]
            continue
        while i not in ready:
            wave = next(coming)
            noise_BTPC = np.stack([noise("insertion", n, level) for n in wave])
            ready.update(_run(denoise, noise_BTPC, known_NPC, [rung.windows[n] for n in wave], config))
        yield ready.pop(i)


def _run(
    denoise: Denoiser,
    noise_BTPC: np.ndarray,
    known_NPC: np.ndarray,
    windows: Sequence[InsertionWindow],
    config: InsertionConfig,
) -> dict[int, np.ndarray]:
    """Number of the instant -> latents, for one wave of windows."""
    times_BT = np.array([[float(time) for time in window.times] for window in windows])
    known_BT = np.array([window.known for window in windows])
    output_BT = np.array([window.output for window in windows])
    asked = windows_of(times_BT, known_NPC, known_BT, known_BT >= 0)
    clean_BTPC = solve(denoise, asked, noise_BTPC, config.solver)
    return {int(output_BT[b, t]): clean_BTPC[b, t] for b, t in zip(*np.nonzero(output_BT >= 0), strict=True)}
