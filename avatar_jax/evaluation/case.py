"""One case of the evaluation: a clip whose every frame is known, and what was read from its frames and made ones.

A case keeps readings and small summaries, never the frames themselves, so that minutes of video fit.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from avatar_jax.metrics.judging import Judged, at_reading_size


@dataclass(frozen=True)
class ShotSpan:
    """Frames first .. stop - 1 of the video, and what the storyline asks of them."""

    first: int
    stop: int
    emotion: str
    intensity: float
    action: str
    camera: str


@dataclass(frozen=True)
class Look:
    """What is known of one set of T frames: readings, change from frame to frame [T - 1], mean colour [T, 3] in levels,
    and whether they live."""

    judged: Judged
    change_T: np.ndarray
    colour_T3: np.ndarray
    lifeless: str | None = None

    def part(self, first: int, stop: int) -> "Look":
        j = self.judged
        judged = Judged(*(x[first:stop] for x in (j.values, j.emotion, j.viseme, j.identity)))
        return Look(judged, self.change_T[first : stop - 1], self.colour_T3[first:stop], self.lifeless)


@dataclass(frozen=True)
class Case:
    """One clip: T frames of labels and what was read from the true frames, from those that the codec gives back, and
    from the video that was made."""

    groups: dict[str, str]
    number: int
    """Of its portrait in the gallery."""
    fps: float
    truth: dict[str, np.ndarray]
    viseme_T2: np.ndarray
    """Class and whether it is a clear one, see `viseme_classes`."""
    closed_T: np.ndarray
    silent_T: np.ndarray
    inserted_T: np.ndarray
    seams: tuple[int, ...]
    shots: tuple[ShotSpan, ...]
    looks: dict[str, Look]
    """By name: true, coded, made."""
    portrait_D: np.ndarray
    codec_psnr: float
    seconds: float
    """Wall seconds that the video took."""
    other_open_T: np.ndarray = field(default_factory=lambda: np.zeros(0))
    other_closed_T: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    """Of another case, for what chance reaches."""

    @property
    def length(self) -> int:
        return len(self.closed_T)

    def part(self, first: int, stop: int) -> "Case":
        """The case as if it had these frames alone."""
        cut = slice(first, stop)
        shots = [replace(s, first=max(s.first, first) - first, stop=min(s.stop, stop) - first) for s in self.shots]
        return replace(
            self,
            truth={name: x[cut] for name, x in self.truth.items()},
            viseme_T2=self.viseme_T2[cut],
            closed_T=self.closed_T[cut],
            silent_T=self.silent_T[cut],
            inserted_T=self.inserted_T[cut],
            seams=tuple(s - first for s in self.seams if first <= s < stop),
            shots=tuple(s for s in shots if s.stop > s.first),
            looks={name: look.part(first, stop) for name, look in self.looks.items()},
            other_open_T=self.other_open_T[cut],
            other_closed_T=self.other_closed_T[cut],
        )


@dataclass
class Watch:
    """Passes frames through at reading size and keeps how they change, their colour and whether they live."""

    change: list[float] = field(default_factory=list)
    colour: list[np.ndarray] = field(default_factory=list)
    little: list[np.ndarray] = field(default_factory=list)

    def through(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        before = None
        for frame in frames:
            now = at_reading_size(frame)
            if before is not None:
                self.change.append(float(cv2.absdiff(now, before).mean()))
            self.colour.append(now.reshape(-1, 3).mean(axis=0))
            self.little.append(now[::8, ::8].copy())
            before = now
            yield now
