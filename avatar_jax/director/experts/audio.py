"""The audio expert: where the voice is silent, whether it speaks or sings, how aroused it sounds.

Arousal (loud, lively pitch, fast) can be heard without a model; whether it is joy or anger cannot, so this expert
never claims more than excitement, calm or neutral. It needs NumPy alone and handles 20 minutes in seconds.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from avatar_jax.media import Recording
from avatar_jax.media.audio import MODEL_RATE

HOP = MODEL_RATE // 50
"""Samples between two measurements: 20 ms."""
QUIET_DB, FLOOR_DB = 30.0, -55.0
"""A hop is silent QUIET_DB below the loud parts of the recording, and below FLOOR_DB of full scale in any case."""
PAUSE = Fraction(6, 10)
"""Seconds of silence from which on the avatar is listening."""
WORD_GAP = 5
"""Hops of sound shorter than this inside a silence are clicks, not words."""
PITCHED, PITCH_SPAN = 0.55, (70.0, 500.0)
BLOCKS, BLOCK_S = 8, 8
"""Pitch is measured in at most so many blocks of so many seconds, spread over the recording."""


@dataclass(frozen=True)
class Heard:
    """What was heard. Silences are (start, end) in seconds, at least PAUSE long; levels are dB every 20 ms."""

    silences: list[tuple[Fraction, Fraction]]
    level_db: np.ndarray
    voiced: np.ndarray
    pitch_sd: float
    steadiness: float
    rate: float

    @property
    def singing(self) -> bool:
        """Long steady notes that are not all the same; speech glides, and a monotonous voice is no song."""
        return self.steadiness > 0.5 and self.pitch_sd > 1

    def arousal(self, start: Fraction, end: Fraction) -> float:
        """About -2 (low) to 2 (high); 0 is an everyday voice. The span is compared with the whole recording."""
        here = slice(int(start * 50), max(int(start * 50) + 1, int(end * 50)))
        loud = self.level_db[here][self.voiced[here]]
        if len(loud) < 10:
            return 0.0
        relative = (float(loud.mean()) - float(self.level_db[self.voiced].mean())) / 6
        pitch = 0.0 if self.singing else (self.pitch_sd - 3.0) / 2
        return float(np.clip(relative + pitch + (self.rate - 4.2) / 2, -2, 2))


def hear(recording: Recording) -> Heard:
    """Listen to a whole recording."""
    mono = recording.mono
    level_db = _levels(mono)
    voiced = level_db > max(float(np.percentile(level_db, 95)) - QUIET_DB, FLOOR_DB)
    voiced = _without_clicks(voiced)
    pitch_sd, steadiness = _pitch(mono, voiced)
    return Heard(_silences(voiced, recording.seconds), level_db, voiced, pitch_sd, steadiness, _rate(level_db, voiced))


def _levels(mono: np.ndarray) -> np.ndarray:
    hops = np.pad(mono, (0, -len(mono) % HOP)).reshape(-1, HOP)
    return 10 * np.log10(np.mean(np.square(hops, dtype=np.float64), axis=1) + 1e-10)


def _runs(flags: np.ndarray) -> list[tuple[int, int, bool]]:
    """(start, end, flag) of every stretch of equal flags."""
    edges = np.flatnonzero(np.diff(flags)) + 1
    bounds = [0, *edges.tolist(), len(flags)]
    return [(a, b, bool(flags[a])) for a, b in pairwise(bounds) if b > a]


def _without_clicks(voiced: np.ndarray) -> np.ndarray:
    out = voiced.copy()
    for a, b, sound in _runs(voiced):
        if sound and b - a < WORD_GAP:
            out[a:b] = False
    return out


def _silences(voiced: np.ndarray, seconds: Fraction) -> list[tuple[Fraction, Fraction]]:
    out = []
    for a, b, sound in _runs(voiced):
        # A tail of 60 ms belongs to the word, as a sound fades; so does the breath before the next.
        start = Fraction(a, 50) + (Fraction(6, 100) if a else 0)
        end = seconds if b == len(voiced) else Fraction(b, 50) - Fraction(6, 100)
        if not sound and end - start >= PAUSE:
            out.append((start, end))
    whole = len(out) == 0 and not voiced.any()
    return [(Fraction(0), seconds)] if whole else out


def _rate(level_db: np.ndarray, voiced: np.ndarray) -> float:
    """Loudness peaks per second of voice, about one for every syllable."""
    if voiced.sum() < 25:
        return 4.2
    smooth = np.convolve(level_db, np.hanning(7) / np.hanning(7).sum(), mode="same")
    rise = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:])
    dip = np.array([smooth[max(0, i - 6) : i + 7].min() for i in np.flatnonzero(rise) + 1])
    peaks = np.flatnonzero(rise)[smooth[np.flatnonzero(rise) + 1] - dip > 3] + 1
    return float(voiced[peaks].sum() / (voiced.sum() / 50))


def _pitch(mono: np.ndarray, voiced: np.ndarray) -> tuple[float, float]:
    """Spread of the pitch in semitones, and the share of pitched hops that lie in notes held for 0.3 s or more."""
    block, window = BLOCK_S * 50, 1024
    starts = np.unique(np.linspace(0, max(0, len(voiced) - block), BLOCKS).astype(int))
    notes: list[np.ndarray] = []
    for start in starts:
        hops = np.arange(start, min(start + block, (len(mono) - window) // HOP))
        hops = hops[voiced[hops]] if len(hops) else hops
        if len(hops) < 2:
            continue
        frames = mono[hops[:, None] * HOP + np.arange(window)]
        spectrum = np.fft.rfft((frames - frames.mean(1, keepdims=True)) * np.hanning(window), 2 * window)
        correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:, :window]
        envelope = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(window), 2 * window)) ** 2)[:window]
        correlation = correlation / (correlation[:, :1] + 1e-9) / np.maximum(envelope / envelope[0], 0.1)
        low, high = int(MODEL_RATE / PITCH_SPAN[1]), int(MODEL_RATE / PITCH_SPAN[0])
        lag = correlation[:, low:high].argmax(1)
        clear = correlation[np.arange(len(lag)), low + lag] > PITCHED
        semitones = np.where(clear, 12 * np.log2(MODEL_RATE / (low + lag) / 55), np.nan)
        track = np.full(block + 1, np.nan)
        track[hops - start] = semitones
        notes.append(track)
    if not notes or np.isfinite(np.concatenate(notes)).sum() < 15:
        return 3.0, 0.0
    track = np.concatenate(notes)
    pitched = track[np.isfinite(track)]
    centred = pitched[np.abs(pitched - np.median(pitched)) < 9]
    # Held: within half a semitone of the hop 0.3 s (15 hops) later, and of all between.
    windows = np.lib.stride_tricks.sliding_window_view(track, 15)
    held = np.nan_to_num(np.ptp(windows, axis=1), nan=99) < 0.7
    inside = np.convolve(held, np.ones(15), mode="full")[: len(track)] > 0
    return float(centred.std()), float((inside & np.isfinite(track)).sum() / len(pitched))
