"""The audio expert: where the voice is silent, whether it speaks or sings, how aroused it sounds, and how that goes on.

Arousal (loud, lively pitch, fast) can be heard without a model; whether it is joy or anger cannot. So this expert
claims excitement, calm or neutral, and of a voice that is pressed besides only that it may be angry, which counts
where the words say the contrary. It handles 20 minutes in seconds.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from avatar_jax.director.experts.pitch import HOP, Pitch, track_pitch
from avatar_jax.media import Recording

QUIET_DB, FLOOR_DB = 30.0, -55.0
"""A hop is silent QUIET_DB below the loud parts of the recording, and below FLOOR_DB of full scale in any case."""
PAUSE = Fraction(6, 10)
"""Seconds of silence from which on the avatar is listening."""
WORD_GAP = 5
"""Hops of sound shorter than this inside a silence are clicks, not words."""
EVERYDAY_RATE = 4.2
"""Syllables per second of an everyday voice."""
HISS_PITCHED, HISS_DB = 0.05, 3.0
"""Sound is noise, not a voice, where fewer of its hops have a pitch and its level varies less than this."""
HIGH, LOW = 1.1, -1.1
"""Arousal above which a voice sounds excited, below which calm."""
PRESSED_DB = -8.0
"""Brightness above which an aroused voice sounds pressed."""
MOOD_S = 4
"""Seconds that a change of the voice must last to be a change of mood."""

Span = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Heard:
    """What was heard. Silences are (start, end) in seconds, at least PAUSE long; the rest is by hop of 20 ms.

    `syllables` are hops; `noise` says that there is sound, but no voice in it.
    """

    silences: list[Span]
    level_db: np.ndarray
    voiced: np.ndarray
    pitch: Pitch
    syllables: np.ndarray
    noise: bool

    @cached_property
    def pitch_sd(self) -> float:
        """Spread of the pitch over the whole recording, in semitones."""
        return self.pitch.spread()

    @cached_property
    def rate(self) -> float:
        """Syllables per second of voice."""
        return self._rate(0, len(self.voiced))

    @cached_property
    def singing(self) -> bool:
        """Long steady notes that are not all the same; speech glides, and a monotonous voice is no song."""
        return self.pitch.steadiness() > 0.5 and self.pitch_sd > 1

    @cached_property
    def _usual_db(self) -> float:
        return float(self.level_db[self.voiced].mean()) if self.voiced.any() else 0.0

    def _rate(self, first: int, last: int) -> float:
        voiced = int(self.voiced[first:last].sum())
        if voiced < 25:
            return EVERYDAY_RATE
        inside = np.searchsorted(self.syllables, last) - np.searchsorted(self.syllables, first)
        return float(inside * 50 / voiced)

    def arousal(self, start: Fraction, end: Fraction) -> float:
        """About -2 (low) to 2 (high); 0 is an everyday voice. The level is compared with the whole recording."""
        first, last = _hops(start, end)
        loud = self.level_db[first:last][self.voiced[first:last]]
        if len(loud) < 10:
            return 0.0
        enough = len(loud) >= 75
        relative = (float(loud.mean()) - self._usual_db) / 6
        spread = self.pitch.spread(first, last) if enough else self.pitch_sd
        pitch = 0.0 if self.singing else (spread - 3.0) / 2
        rate = self._rate(first, last) if enough else self.rate
        return float(np.clip(relative + pitch + (rate - EVERYDAY_RATE) / 2, -2, 2))

    def sounds(self, start: Fraction, end: Fraction) -> str:
        """excitement, calm or neutral."""
        arousal = self.arousal(start, end)
        return "excitement" if arousal > HIGH else "calm" if arousal < LOW else "neutral"

    def pressed(self, start: Fraction, end: Fraction) -> bool:
        """Whether the voice is aroused and pressed, as in anger (or in a bright recording of excitement)."""
        first, last = _hops(start, end)
        bright = self.pitch.brightness_db[first:last]
        bright = bright[np.isfinite(bright)]
        loud = len(bright) >= 10 and float(np.median(bright)) > PRESSED_DB
        return loud and self.sounds(start, end) == "excitement"

    def measured(self, start: Fraction, end: Fraction) -> str:
        """The numbers behind what is said of a span, for its evidence."""
        first, last = _hops(start, end)
        spread, rate = self.pitch.spread(first, last), self._rate(first, last)
        return f"arousal {self.arousal(start, end):+.1f}: level, pitch spread {spread:.1f} st, {rate:.1f} syllables/s"

    def moods(self, seconds: Fraction) -> list[Fraction]:
        """Instants at which the voice changes between excited, everyday and calm for at least MOOD_S seconds."""
        centres = [Fraction(s) + Fraction(1, 2) for s in range(int(seconds))]
        names = [self.sounds(max(Fraction(0), c - Fraction(3, 2)), c + Fraction(3, 2)) for c in centres]
        runs = _runs(np.array([("calm", "neutral", "excitement").index(name) for name in names]))
        kept: list[tuple[int, int, int]] = []
        for first, last, mood in runs:
            if kept and (last - first < MOOD_S or kept[-1][2] == mood):
                kept[-1] = (kept[-1][0], last, kept[-1][2])
            elif kept and kept[-1][1] - kept[-1][0] < MOOD_S:
                kept[-1] = (kept[-1][0], last, mood)
            else:
                kept.append((first, last, mood))
        return [self._turn(first) for (first, *_), before in zip(kept[1:], kept, strict=False) if before]

    def _turn(self, second: int) -> Fraction:
        """The hop within 1.5 s of `second` where the level before and after differs most."""
        hops = np.arange(max(50, second * 50 - 75), min(len(self.level_db) - 50, second * 50 + 76))
        total = np.concatenate([[0.0], np.cumsum(np.maximum(self.level_db, FLOOR_DB))])
        change = np.abs((total[hops + 50] - total[hops]) - (total[hops] - total[hops - 50])) if len(hops) else []
        return Fraction(int(hops[int(np.argmax(change))]), 50) if len(hops) else Fraction(second)


@lru_cache(2)
def hear(recording: Recording) -> Heard:
    """Listen to a whole recording; once, though the director and the page for reading both ask."""
    level_db = _levels(recording.mono)
    voiced = _without_clicks(level_db > max(float(np.percentile(level_db, 95)) - QUIET_DB, FLOOR_DB))
    pitch = track_pitch(recording.mono, voiced)
    hops = np.flatnonzero(voiced)
    noise = len(hops) >= 25 and (
        float(np.isfinite(pitch.semitones[hops]).mean()) < HISS_PITCHED and float(level_db[hops].std()) < HISS_DB
    )
    if noise:
        voiced = np.zeros_like(voiced)
    silences = _silences(voiced, recording.seconds)
    return Heard(silences, level_db, voiced, pitch, _syllables(level_db, voiced), noise)


def _hops(start: Fraction, end: Fraction) -> tuple[int, int]:
    return int(start * 50), max(int(start * 50) + 1, int(end * 50))


def _levels(mono: np.ndarray) -> np.ndarray:
    hops = np.pad(mono, (0, -len(mono) % HOP)).reshape(-1, HOP)
    return 10 * np.log10(np.mean(np.square(hops, dtype=np.float64), axis=1) + 1e-10)


def _runs(values: np.ndarray) -> list[tuple[int, int, int]]:
    """(start, end, value) of every stretch of equal values."""
    edges = np.flatnonzero(np.diff(values)) + 1
    bounds = [0, *edges.tolist(), len(values)]
    return [(a, b, int(values[a])) for a, b in pairwise(bounds) if b > a]


def _without_clicks(voiced: np.ndarray) -> np.ndarray:
    out = voiced.copy()
    for a, b, sound in _runs(voiced):
        if sound and b - a < WORD_GAP:
            out[a:b] = False
    return out


def _silences(voiced: np.ndarray, seconds: Fraction) -> list[Span]:
    out = []
    for a, b, sound in _runs(voiced):
        # A tail of 60 ms belongs to the word, as a sound fades; so does the breath before the next.
        start = Fraction(a, 50) + (Fraction(6, 100) if a else 0)
        end = seconds if b == len(voiced) else Fraction(b, 50) - Fraction(6, 100)
        if not sound and end - start >= PAUSE:
            out.append((start, end))
    whole = len(out) == 0 and not voiced.any()
    return [(Fraction(0), seconds)] if whole else out


def _syllables(level_db: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """Hops at which the loudness of the voice peaks, about one for every syllable."""
    if voiced.sum() < 25:
        return np.zeros(0, int)
    smooth = np.convolve(level_db, np.hanning(7) / np.hanning(7).sum(), mode="same")
    rise = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:])
    peaks = np.flatnonzero(rise) + 1
    around = np.lib.stride_tricks.sliding_window_view(np.pad(smooth, 6, mode="edge"), 13).min(axis=1)
    peaks = peaks[smooth[peaks] - around[peaks] > 3]
    return peaks[voiced[peaks]]
