"""The only converter between seconds, video frames, audio samples and audio features, in exact rationals.

A frame with index i at rate fps shows the instant i / fps. All times are `fractions.Fraction` seconds until the
moment an array is needed, so no rounding can pile up over a long recording.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

Rate = Fraction | int | float | str


def rate(value: Rate) -> Fraction:
    """`value` per second as an exact rational: 12.5 -> 25/2, "30000/1001" and 29.97 -> 30000/1001."""
    if isinstance(value, float):
        ntsc = Fraction(round(value * 1001 / 1000) * 1000, 1001)
        if abs(float(ntsc) - value) < 0.005 and Fraction(value).limit_denominator(1000).denominator > 10:
            return ntsc
        return Fraction(value).limit_denominator(1001)
    return Fraction(value)


def frame_count(samples: int, sample_rate: int, fps: Rate) -> int:
    """Frames that a recording of `samples` lasts: floor(seconds * fps + 1/2), exactly, and at least one."""
    return max(1, floor(Fraction(samples, sample_rate) * rate(fps) + Fraction(1, 2)))


def frame_times(count: int, fps: Rate, start: int = 0) -> list[Fraction]:
    """Instants, in seconds, of frames start .. start + count - 1."""
    step = 1 / rate(fps)
    return [(start + i) * step for i in range(count)]


def nearest_frame(seconds: Fraction | float, fps: Rate) -> int:
    """Index of the frame that shows the instant nearest to `seconds` (halves go up)."""
    return floor(Fraction(seconds) * rate(fps) + Fraction(1, 2))


def seconds_of(frames: np.ndarray | Sequence[int] | float, fps: Rate) -> np.ndarray:
    """Instants, in float64 seconds, of frame positions that may lie between frames; any shape."""
    return np.asarray(frames, np.float64) / float(rate(fps))


def frames_in(seconds: Rate, fps: Rate) -> float:
    """How many frames, not rounded, `seconds` last."""
    return float(rate(seconds) * rate(fps))


@dataclass(frozen=True)
class Timeline:
    """One recording's length and the rate of the video made for it.

    `samples` at `sample_rate` Hz is the recording; `fps` the output rate; `model_fps` the rate inside the cascade.
    """

    samples: int
    sample_rate: int
    fps: Fraction
    model_fps: Fraction

    @property
    def seconds(self) -> Fraction:
        return Fraction(self.samples, self.sample_rate)

    @property
    def frames(self) -> int:
        """Frames of the finished video."""
        return frame_count(self.samples, self.sample_rate, self.fps)

    @property
    def model_frames(self) -> int:
        """Frames at the model's rate, enough that every output frame lies at or before the last of them."""
        last = (self.frames - 1) / self.fps
        return -floor(-last * self.model_fps) + 1

    def output_times(self) -> list[Fraction]:
        return frame_times(self.frames, self.fps)

    def model_times(self) -> list[Fraction]:
        return frame_times(self.model_frames, self.model_fps)
