"""Voices made from formulas, for cases whose sound must be known exactly: speech, calm, lively, angry, song, noise.

A voice here is a row of harmonics under a pitch contour, opened and closed once a syllable. The kinds differ in what
people differ in: level, pitch, pace, how steep the harmonics fall (a pressed voice is brighter) and roughness.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from avatar_jax.media import Recording
from avatar_jax.media.audio import MODEL_RATE

PARTIALS = 16
SCALE = (0, 4, 7, 5, 9, 7, 4, 2)
"""Semitones of the notes of a song, half a second each."""


@dataclass(frozen=True)
class Voice:
    """Level of the loudest sample, pitch in Hz and its swing in semitones, syllables per second, fall of the
    harmonics as a power of their number, and depth of the roughness (70 Hz beating and breath)."""

    level: float
    pitch: float
    swing: float
    pace: float
    fall: float
    rough: float = 0.0


VOICES = {
    "speech": Voice(0.3, 160, 4.2, 4.2, 1.7),
    "calm": Voice(0.12, 120, 0.6, 2.6, 2.0),
    "lively": Voice(0.55, 210, 8.0, 6.2, 1.5),
    "angry": Voice(0.8, 190, 8.0, 6.0, 0.6, 0.6),
}
KINDS = (*VOICES, "song", "silence", "noise")


def _tone(voice: Voice, semitones: np.ndarray) -> np.ndarray:
    phase = 2 * np.pi * np.cumsum(voice.pitch * 2 ** (semitones / 12)) / MODEL_RATE
    partials = np.arange(1, PARTIALS + 1)
    tone = np.zeros_like(phase)
    for n in partials:
        tone += np.sin(n * phase) / n**voice.fall
    return tone / np.sum(partials**-voice.fall)


def speak(voice: Voice, samples: int, rng: np.random.Generator) -> Float32[np.ndarray, " n"]:
    """`samples` of a voice that talks without pause."""
    t = np.arange(samples) / MODEL_RATE
    glide = np.sin(2 * np.pi * 0.9 * t) + 0.4 * np.sin(2 * np.pi * 0.37 * t + 1)
    wave = _tone(voice, voice.swing * glide) * (0.55 - 0.45 * np.cos(2 * np.pi * voice.pace * t))
    beating = 1 - voice.rough * (0.5 + 0.5 * np.sin(2 * np.pi * 70 * t))
    wave = wave * beating + 0.05 * voice.rough * rng.standard_normal(samples)
    return (voice.level * wave / max(1e-9, np.abs(wave).max())).astype(np.float32)


def sing(samples: int) -> Float32[np.ndarray, " n"]:
    """Held notes of half a second."""
    note = (np.arange(samples) * 2 // MODEL_RATE) % len(SCALE)
    t = np.arange(samples) / MODEL_RATE % 0.5
    shape = np.clip(t / 0.03, 0, 1) * np.clip((0.5 - t) / 0.05, 0.2, 1)
    return (0.4 * _tone(Voice(1, 220, 0, 0, 1.5), np.array(SCALE)[note]) * shape).astype(np.float32)


def recording(parts: Sequence[Sequence[Any]], seed: int = 0) -> Recording:
    """A recording of (kind, seconds) after one another; no file lies behind it, and its samples are read-only."""
    return _recording(tuple((str(kind), str(seconds)) for kind, seconds in parts), seed)


@lru_cache(8)
def _recording(parts: tuple[tuple[str, str], ...], seed: int) -> Recording:
    rng = np.random.default_rng(seed)
    waves = [np.zeros(0, np.float32)]
    for kind, seconds in parts:
        samples = int(Fraction(seconds) * MODEL_RATE)
        if kind in VOICES:
            waves.append(speak(VOICES[kind], samples, rng))
        elif kind == "song":
            waves.append(sing(samples))
        else:
            level = 0.1 if kind == "noise" else 0.0
            waves.append((level * rng.standard_normal(samples)).astype(np.float32))
    mono = np.concatenate(waves)
    mono.flags.writeable = False
    return Recording(mono, len(mono), MODEL_RATE, Path("voice.wav"))
