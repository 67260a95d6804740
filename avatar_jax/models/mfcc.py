"""Mel-frequency cepstral coefficients as the published SyncNet hears them.

13 coefficients at 100 Hz of 16 kHz sound, after the usual recipe (Davis and Mermelstein 1980) with the constants of
the Python package that SyncNet's authors used: rectangular windows of 25 ms, pre-emphasis 0.97, 26 triangular bands
from 0 to 8 kHz, a sine lifter of 22, the logarithm of the energy in place of the first coefficient.
"""

from functools import cache

import numpy as np
from jaxtyping import Float, Float32

RATE, HOP, WINDOW, FFT = 16_000, 160, 400, 512
BANDS, COEFFICIENTS, LIFTER, EMPHASIS = 26, 13, 22, 0.97
FULL_SCALE = 32768
"""Sound enters as 16-bit numbers: the network was trained on their logarithms."""


@cache
def bands() -> np.ndarray:
    """[257, 26] triangles between 28 FFT bins, evenly spaced in mel (2595 log10(1 + f / 700))."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = np.floor((FFT + 1) * 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1) / RATE)
    bins = np.arange(FFT // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - low) / np.maximum(middle - low, 1)
    falling = (high - bins) / np.maximum(high - middle, 1)
    # A bin on the middle belongs to the falling side, one on the upper edge to none.
    inside = (bins >= low) & (bins < high)
    return np.where(inside, np.where(bins < middle, rising, falling), 0.0)


@cache
def cosines() -> np.ndarray:
    """[26, 13]: an orthonormal DCT-II and the lifter after it."""
    n, k = np.arange(BANDS)[:, None], np.arange(COEFFICIENTS)
    table = np.sqrt(2 / BANDS) * np.cos(np.pi * k * (n + 0.5) / BANDS)
    table[:, 0] /= np.sqrt(2)
    return table * (1 + LIFTER / 2 * np.sin(np.pi * k / LIFTER))


def mfcc(mono: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "F 13"]:
    """Coefficients of sound in [-1, 1] at 16 kHz; row i covers 25 ms from i / 100 s on."""
    sound = np.asarray(mono, np.float64) * FULL_SCALE
    sound = np.append(sound[:1], sound[1:] - EMPHASIS * sound[:-1])
    count = 1 + max(0, -(-(len(sound) - WINDOW) // HOP))
    sound = np.pad(sound, (0, max(0, (count - 1) * HOP + WINDOW - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP][:count]
    power = np.abs(np.fft.rfft(frames, FFT)) ** 2 / FFT
    smallest = np.finfo(np.float64).eps
    energy, heard = power.sum(-1), power @ bands()
    out = np.log(np.where(heard == 0, smallest, heard)) @ cosines()
    out[:, 0] = np.log(np.where(energy == 0, smallest, energy))
    return out.astype(np.float32)
