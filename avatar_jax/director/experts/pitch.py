"""Pitch, clearness and brightness of a voice, every 20 ms: one autocorrelation per voiced hop.

Plain NumPy in single precision, so that 20 minutes of sound stay cheap; librosa's trackers were not compared.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from avatar_jax.media.audio import MODEL_RATE

HOP = MODEL_RATE // 50
"""Samples between two measurements: 20 ms."""
WINDOW = 1024
PITCHED, PITCH_SPAN = 0.55, (70.0, 500.0)
"""Share of the energy that must repeat after one period; Hz that a voice's pitch may have."""
LOW_BAND, HIGH_BAND = (200.0, 1000.0), (1500.0, 4000.0)
"""Hz; a relaxed voice has far less in the upper band, a pressed or shouting one nearly as much."""
AT_ONCE = 2000
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
    semitones = np.full(len(voiced), np.nan, np.float32)
    brightness = np.full(len(voiced), np.nan, np.float32)
    hops = np.flatnonzero(voiced[: max(0, (len(mono) - WINDOW) // HOP)])
    shape = np.hanning(WINDOW).astype(np.float32)
    envelope = np.fft.irfft(np.abs(np.fft.rfft(shape, 2 * WINDOW)) ** 2)[:WINDOW]
    envelope = np.maximum(envelope / envelope[0], 0.1).astype(np.float32)
    shortest, longest = int(MODEL_RATE / PITCH_SPAN[1]), int(MODEL_RATE / PITCH_SPAN[0])
    views = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::HOP] if len(mono) >= WINDOW else mono[None]
    for start in range(0, len(hops), AT_ONCE):
        some = hops[start : start + AT_ONCE]
        frames = views[some].astype(np.float32)
        power = np.abs(np.fft.rfft((frames - frames.mean(1, keepdims=True)) * shape, 2 * WINDOW)) ** 2
        correlation = np.fft.irfft(power)[:, : longest + 1]
        correlation = correlation / (correlation[:, :1] + 1e-9) / envelope[: longest + 1]
        lag = shortest + correlation[:, shortest:longest].argmax(1)
        clear = correlation[np.arange(len(lag)), lag] > PITCHED
        semitones[some] = np.where(clear, 12 * np.log2(MODEL_RATE / lag / 55), np.nan)
        low, high = (power[:, _bins(band)].sum(1) for band in (LOW_BAND, HIGH_BAND))
        brightness[some] = 10 * np.log10((high + 1e-9) / (low + 1e-9))
    return Pitch(semitones, brightness)


def _bins(band: tuple[float, float]) -> slice:
    return slice(*(round(hz * 2 * WINDOW / MODEL_RATE) for hz in band))
