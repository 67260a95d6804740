"""Blinks: the finished latents get closed eyes at instants that are drawn once per video.

Neither sound nor prompt tells when somebody blinks, and a generator that is left to guess makes the mean, which is eyes
that never close. Instants depend on seed and portrait alone, so that a sub-clip that is made again blinks as before.

People who talk blink about 20 times a minute, irregularly (Bentivoglio et al. 1997, doi 10.1002/mds.870120629:
17 at rest, 26 in conversation).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from avatar_jax.director.camera import ease
from avatar_jax.timeline import seconds_of

SHORTEST_S = 0.7
"""Least time from one blink to the next, and to the first: a video begins with open eyes."""
RISE_S, HOLD_S, FALL_S = 0.09, 0.04, 0.15
"""Lids close, stay closed and open again."""
MOST = 60.0
"""Blinks a minute."""
STREAM = 0xB11
"""Sets the instants apart from everything else that a seed draws."""


@dataclass(frozen=True)
class BlinkConfig:
    """`per_minute`: blinks on average, 0 to 60; 0 keeps the eyes open."""

    per_minute: float = 20.0

    def __post_init__(self) -> None:
        if not 0 <= self.per_minute <= MOST:
            raise ValueError(f"blinks.per_minute is {self.per_minute:g}; it must be within 0 .. {MOST:g}")


def blink_instants(config: BlinkConfig, seed: int, seconds: float, who: int = 0) -> np.ndarray:
    """[N] middles of the blinks in seconds, rising; a longer video begins with those of a shorter one. `who`: a number
    of the portrait, so that a batch of one seed does not blink in step."""
    found: list[float] = []
    if not config.per_minute:
        return np.array(found)
    rng, spare = np.random.default_rng((seed, STREAM, who)), 60 / config.per_minute - SHORTEST_S
    at = SHORTEST_S + rng.exponential(spare)
    while at < seconds:
        found.append(at)
        at += SHORTEST_S + rng.exponential(spare)
    return np.array(found)


@dataclass(frozen=True)
class Blinks:
    """Of one video. closed_PC: what closed eyes add to latents (`AvatarCodec.closed_eyes`)."""

    instants_N: np.ndarray
    closed_PC: np.ndarray

    def along(self, latents: Iterable[np.ndarray], fps: Fraction) -> Iterator[np.ndarray]:
        """The latents [P, C] of frames at `fps` from the start on, eyes closing at every instant."""
        for number, frame_PC in enumerate(latents):
            yield frame_PC + lids(self.instants_N, seconds_of(number, fps)) * self.closed_PC


def lids(instants_N: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """How far the eyes are closed at `seconds` (any shape), 0..1, float32."""
    since = np.asarray(seconds)[..., None] - instants_N
    closing, opening = (since + HOLD_S / 2 + RISE_S) / RISE_S, (since - HOLD_S / 2) / FALL_S
    return (ease(closing) * (1 - ease(opening))).max(-1, initial=0).astype(np.float32)
