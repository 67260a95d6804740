"""Pitch against sounds whose pitch is known: no octave errors, steady notes found, no pitch where there is none."""

import numpy as np
import pytest

from avatar_jax.director.experts.pitch import HOP, track_pitch
from avatar_jax.director.voices import SCALE, VOICES, sing, speak
from avatar_jax.media.audio import MODEL_RATE

SAMPLES = 4 * MODEL_RATE
TIMES = np.arange(SAMPLES) / MODEL_RATE


def tone(hertz: float) -> tuple[np.ndarray, np.ndarray]:
    return 0.3 * np.sin(2 * np.pi * hertz * TIMES), np.full(SAMPLES, hertz)


def spoken(kind: str) -> tuple[np.ndarray, np.ndarray]:
    voice = VOICES[kind]
    glide = np.sin(2 * np.pi * 0.9 * TIMES) + 0.4 * np.sin(2 * np.pi * 0.37 * TIMES + 1)
    return speak(voice, SAMPLES, np.random.default_rng(0)), voice.pitch * 2 ** (voice.swing * glide / 12)


def song() -> tuple[np.ndarray, np.ndarray]:
    notes = np.array(SCALE)[(TIMES * 2).astype(int) % len(SCALE)]
    return sing(SAMPLES), 220 * 2 ** (notes / 12)


KNOWN = {
    **{f"{hertz} Hz": tone(hertz) for hertz in (80, 110, 220, 440)},
    **{kind: spoken(kind) for kind in VOICES},
    "song": song(),
}


def measured(wave: np.ndarray) -> np.ndarray:
    return track_pitch(wave.astype(np.float32), np.ones(SAMPLES // HOP, bool)).semitones


@pytest.mark.parametrize("name", KNOWN)
def test_known_pitch(name: str) -> None:
    wave, hertz = KNOWN[name]
    found = measured(wave)
    right = 12 * np.log2(hertz[HOP // 2 :: HOP] / 55)
    pitched = np.isfinite(found)
    off = np.abs(found - right)[pitched]
    assert pitched.mean() > 0.85
    assert (off > 2).mean() < 0.01 and np.median(off) < 0.5


@pytest.mark.parametrize("power", [0, 0.5, 1])
def test_noise_of_any_colour_has_no_pitch(power: float) -> None:
    spectrum = np.fft.rfft(np.random.default_rng(3).standard_normal(SAMPLES))
    noise = np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(SAMPLES, 1 / MODEL_RATE), 20) ** power)
    assert np.isfinite(measured(0.1 * noise / noise.std())).mean() < 0.05


def test_only_what_is_voiced_is_measured() -> None:
    wave, _ = tone(220)
    voiced = np.zeros(SAMPLES // HOP, bool)
    nothing = track_pitch(wave.astype(np.float32), voiced)
    assert np.isnan(nothing.semitones).all() and np.isnan(nothing.brightness_db).all()
    voiced[20:60] = True
    some = track_pitch(wave.astype(np.float32), voiced)
    np.testing.assert_array_equal(np.isfinite(some.brightness_db), voiced)
    np.testing.assert_array_equal(np.isfinite(some.semitones), voiced)


@pytest.mark.parametrize("samples", [1, HOP, 1023, 3200])
def test_the_shortest_sounds(samples: int) -> None:
    hops = -(-samples // HOP)
    assert len(track_pitch(np.full(samples, 0.1, np.float32), np.ones(hops, bool)).semitones) == hops
