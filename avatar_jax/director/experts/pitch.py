"""Pitch and brightness of a voice, every 20 ms: librosa's pYIN and spectrum, a minute of sound at a time.

pYIN (Mauch and Dixon 2014, "pYIN: A fundamental frequency estimator using probabilistic threshold distributions") also
decides which hops have a pitch at all. 20 minutes of talk take it seconds of one core, not minutes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from avatar_jax.media.audio import MODEL_RATE

HOP = MODEL_RATE // 50
"""Samples between two measurements: 20 ms."""
WINDOW = 1024
"""Samples that one measurement looks at, centred on its hop."""
PITCH_SPAN = (70.0, 500.0)
"""Hz that a voice's pitch may have."""
PER_SEMITONE = 5
"""Pitches between which pYIN chooses, in a semitone; with fewer, a gliding voice looks like held notes."""
PATIENCE = (2.0, 8.0)
"""The last of the paper's three priors of how well sound must repeat; with the first, rough voices lose their pitch."""
LOW_BAND, HIGH_BAND = (200.0, 1000.0), (1500.0, 4000.0)
"""Hz; a relaxed voice has far less in the upper band, a pressed or shouting one nearly as much."""
AT_ONCE = 3000
"""Hops at once: memory stays small, and a minute without a voice costs nothing."""
HELD, HELD_RANGE = 15, 0.7
"""A note is held where 15 hops (0.3 s) lie within 0.7 semitones."""
SPREAD, FEWEST = 3.0, 15
"""Semitones by which an everyday voice spreads, taken where fewer hops than FEWEST have a pitch."""


@dataclass(frozen=True)
class Pitch:
    """By hop: semitones above 55 Hz (NaN without a clear pitch), and upper over lower band in dB (NaN in silence)."""

    semitones: Float32[np.ndarray, " T"]
    brightness_db: Float32[np.ndarray, " T"]

    def spread(self, first: int = 0, last: int | None = None) -> float:
        """Standard deviation in semitones, octave errors left out."""
        pitched = self.semitones[first:last]
        pitched = pitched[np.isfinite(pitched)]
        if len(pitched) < FEWEST:
            return SPREAD
        return float(pitched[np.abs(pitched - np.median(pitched)) < 9].std())

    def share(self, first: int, last: int) -> float:
        """Share of the hops that have a pitch."""
        return float(np.isfinite(self.semitones[first:last]).mean()) if last > first else 0.0

    def steadiness(self) -> float:
        """Share of the pitched hops that lie in held notes."""
        pitched = np.isfinite(self.semitones)
        if pitched.sum() < FEWEST or len(pitched) < HELD:
            return 0.0
        windows = np.lib.stride_tricks.sliding_window_view(self.semitones, HELD)
        held = np.nan_to_num(np.ptp(windows, axis=1), nan=99) < HELD_RANGE
        inside = np.convolve(held, np.ones(HELD), mode="full")[: len(pitched)] > 0
        return float((inside & pitched).sum() / pitched.sum())


def track_pitch(mono: Float32[np.ndarray, " n"], voiced: Bool[np.ndarray, " T"]) -> Pitch:
    """Measure every hop in which there is a voice."""
    # librosa brings numba, which takes a second to import.
    from librosa import pyin, stft

    semitones = np.full(len(voiced), np.nan, np.float32)
    brightness = np.full(len(voiced), np.nan, np.float32)
    early = (WINDOW - HOP) // 2
    sound = np.pad(mono, (early, max(0, len(voiced) * HOP + WINDOW - HOP - early - len(mono))))
    frames = {"hop_length": HOP, "center": False}
    for first in range(0, len(voiced), AT_ONCE):
        hops = slice(first, min(first + AT_ONCE, len(voiced)))
        if not voiced[hops].any():
            continue
        part = sound[hops.start * HOP : (hops.stop - 1) * HOP + WINDOW]
        hertz, *_ = pyin(
            part, fmin=PITCH_SPAN[0], fmax=PITCH_SPAN[1], sr=MODEL_RATE, frame_length=WINDOW,
            resolution=1 / PER_SEMITONE, beta_parameters=PATIENCE, **frames,
        )  # fmt: skip
        semitones[hops] = np.where(voiced[hops], 12 * np.log2(hertz / 55), np.nan)
        power = np.abs(stft(part, n_fft=WINDOW, **frames)) ** 2
        low, high = (power[_bins(band)].sum(0) for band in (LOW_BAND, HIGH_BAND))
        brightness[hops] = np.where(voiced[hops], 10 * np.log10((high + 1e-9) / (low + 1e-9)), np.nan)
    return Pitch(semitones, brightness)


def _bins(band: tuple[float, float]) -> slice:
    return slice(*(round(hz * WINDOW / MODEL_RATE) for hz in band))
