"""Audio-aligned frame insertion: every output instant that no model frame shows is generated, never blended.

The windows hold model frames as known and the output instants between them as unknown, at their exact times, with the
sound at those times; any output rate works, on the model's grid or off it. Windows part at the frames just outside the
seams, so that redoing a sub-clip changes no inserted frame beyond its own two seams.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import numpy as np

from avatar_jax.sampling.segments import Segment
from avatar_jax.sampling.windows import FRAMES, Denoiser, Noise, SolverConfig, solve, waves, windows_of
from avatar_jax.timeline import Timeline

PAD_STEP = Fraction(1, 2)
"""Spacing, in model frames, of instants that only fill a window up; they are dropped."""


@dataclass(frozen=True)
class InsertionConfig:
    """Neighbours on both sides are known, so few steps are enough."""

    wave: int = 16
    solver: SolverConfig = field(default_factory=lambda: SolverConfig(steps=3))


@dataclass(frozen=True)
class InsertionWindow:
    """Instants of one window in model frames. `model_frame` is -1 where the instant is to be made, and `output`
    the number of the output frame that it becomes, -1 for known frames and padding."""

    times: tuple[Fraction, ...]
    model_frame: tuple[int, ...]
    output: tuple[int, ...]


def parting_frames(segments: Sequence[Segment], reach: int, end: int) -> list[int]:
    """Model frames at which windows part: the ends and the known frames on either side of every seam."""
    around = {s.last + side for s in segments[:-1] for side in (-reach - 1, reach + 1)}
    return sorted({0, end} | {frame for frame in around if 0 < frame < end})


def plan_insertion(timeline: Timeline, segments: Sequence[Segment], reach: int) -> list[InsertionWindow]:
    """Windows in time order; each output instant off the model's grid lies in exactly one of them."""
    ratio = timeline.model_fps / timeline.fps
    outputs = [(i * ratio, i) for i in range(timeline.frames)]
    between: dict[int, list[tuple[Fraction, int]]] = {}
    for time, i in outputs:
        if time.denominator != 1:
            between.setdefault(floor(time), []).append((time, i))

    end = max(1, ceil(outputs[-1][0]))
    windows: list[InsertionWindow] = []
    parts = parting_frames(segments, reach, end)
    for low, high in pairwise(parts):
        start = low
        while start < high:
            entries = [(Fraction(start), start, -1)]
            stop = start
            while stop < high:
                more = [(time, -1, i) for time, i in between.get(stop, [])] + [(Fraction(stop + 1), stop + 1, -1)]
                if len(entries) + len(more) > FRAMES:
                    break
                entries += more
                stop += 1
            if stop == start:
                raise ValueError(f"{timeline.fps} frames per second put more than {FRAMES - 2} into one model frame")
            if any(model_frame < 0 for _, model_frame, _ in entries):
                windows.append(_padded(entries))
            start = stop
    return windows


def _padded(entries: list[tuple[Fraction, int, int]]) -> InsertionWindow:
    last = entries[-1][0]
    filling = [(last + PAD_STEP * (k + 1), -1, -1) for k in range(FRAMES - len(entries))]
    times, model_frame, output = zip(*(entries + filling), strict=True)
    return InsertionWindow(times, model_frame, output)


def insert_frames(
    denoise: Denoiser,
    noise: Noise,
    track_NPC: np.ndarray,
    timeline: Timeline,
    plan: Sequence[InsertionWindow],
    config: InsertionConfig,
) -> Iterator[np.ndarray]:
    """Latents [P, C] of every output frame, in order; a wave of windows at a time is in memory."""
    ratio = timeline.model_fps / timeline.fps
    ready: dict[int, np.ndarray] = {}
    coming = iter(waves(len(plan), config.wave))
    for i in range(timeline.frames):
        time = i * ratio
        if time.denominator == 1:
            yield track_NPC[int(time)]
            continue
        while i not in ready:
            wave = next(coming)
            ready.update(_run(denoise, noise, track_NPC, plan, wave, config))
        yield ready.pop(i)


def _run(
    denoise: Denoiser,
    noise: Noise,
    track_NPC: np.ndarray,
    plan: Sequence[InsertionWindow],
    wave: range,
    config: InsertionConfig,
) -> dict[int, np.ndarray]:
    """Output number -> latents, for one wave of windows."""
    times_BT = np.array([[float(time) for time in plan[i].times] for i in wave])
    frame_BT = np.array([plan[i].model_frame for i in wave])
    output_BT = np.array([plan[i].output for i in wave])
    windows = windows_of(times_BT, track_NPC, frame_BT, frame_BT >= 0)
    clean_BTPC = solve(denoise, windows, np.stack([noise("insertion", i, 0) for i in wave]), config.solver)
    return {int(output_BT[b, t]): clean_BTPC[b, t] for b, t in zip(*np.nonzero(output_BT >= 0), strict=True)}
