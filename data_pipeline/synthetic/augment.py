"""What rooms, microphones and telephones do to a voice: random changes of a wave that keep its phone times true."""

from collections.abc import Sequence

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

from data_pipeline.synthetic.phonemes import Phone

SAMPLE_RATE = 16000


def augment(wave: np.ndarray, phones: Sequence[Phone], rng: np.random.Generator) -> tuple[np.ndarray, list[Phone]]:
    """int16 16 kHz in, float32 in [-1, 1] out, with phones at their new times: another vocal tract (resampling by
    0.75..1.35), equaliser, telephone, rumble filter, room, overdrive, noise 8..45 dB below the voice, and loudness."""
    sound = wave.astype(np.float32) / 32768
    ratio = float(np.clip(np.exp(rng.normal(0, 0.13)), 0.75, 1.35))
    count = round(len(sound) * ratio)
    sound = np.interp(np.arange(count) / ratio, np.arange(len(sound)), sound).astype(np.float32)
    moved = [Phone(p.ipa, p.start * ratio, p.end * ratio) for p in phones]
    if rng.random() < 0.85:
        sound = _equalise(sound, rng)
    if rng.random() < 0.2:
        sound = np.asarray(sosfilt(butter(4, rng.uniform(3000, 4200), fs=SAMPLE_RATE, output="sos"), sound))
    if rng.random() < 0.15:
        sound = np.asarray(sosfilt(butter(2, rng.uniform(80, 350), "high", fs=SAMPLE_RATE, output="sos"), sound))
    if rng.random() < 0.35:
        sound = _room(sound, rng)
    level = float(np.sqrt(np.mean(np.square(sound)))) + 1e-4
    if rng.random() < 0.15:
        drive = rng.uniform(1, 4) / (3 * level)
        sound = np.tanh(sound * drive) / drive
    noise = rng.normal(size=len(sound))
    if rng.random() < 0.5:
        noise = _pink(noise)
    sound = sound + noise * level * 10 ** (-rng.uniform(8, 45) / 20)
    sound = sound / max(1e-4, float(np.abs(sound).max())) * 0.5 * 10 ** (rng.uniform(-12, 6) / 20)
    return np.clip(sound, -1, 1).astype(np.float32), moved


def _equalise(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to three broad peaks of about 6 dB and a tilt of about 3 dB an octave, in the spectrum of the whole clip."""
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE) / 1000 + 0.05)
    gain_db = rng.normal(0, 2) * np.clip(octaves, -3, 3)
    for _ in range(rng.integers(1, 4)):
        centre, width = rng.uniform(-2.5, 2.8), rng.uniform(0.3, 1.2)
        gain_db += rng.normal(0, 6) * np.exp(-(((octaves - centre) / width) ** 2))
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(sound)).astype(np.float32)


def _room(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Decaying noise as a room: .05 to .35 s until it is gone, mixed below the direct sound."""
    tail = rng.uniform(0.05, 0.35)
    seconds = np.arange(int(tail * SAMPLE_RATE)) / SAMPLE_RATE
    echo = rng.normal(size=len(seconds)) * np.exp(-6 * seconds / tail)
    echo *= rng.uniform(0.2, 0.8) / np.sqrt(np.square(echo).sum())
    echo[0] += 1
    return fftconvolve(sound, echo)[: len(sound)].astype(np.float32)


def _pink(noise: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(noise)
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1), len(noise))
    return pink / (pink.std() + 1e-9)
