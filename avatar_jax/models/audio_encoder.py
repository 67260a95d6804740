"""The embedded model's audio encoder: sound to 64 features at 50 Hz that know phones and mouth shapes.

It plays the part that wav2vec2 plays in the published avatar models (0.3 M parameters instead of 95 M). Trained on
synthetic voices with exact phone times (training/audio_stage.py), so no video is needed to learn lip shapes.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

SAMPLE_RATE = 16000
MEL_RATE = 100
FEATURE_RATE = 50
BANDS = 40

_WINDOW, _HOP, _FFT = 400, SAMPLE_RATE // MEL_RATE, 512
_CHUNK, _CONTEXT = 1024, 32
"""Features per call of `encode_recording`, and those beside them that are computed only to be thrown away: the network
sees 21 features to either side."""


@dataclass(frozen=True)
class AudioEncoderConfig:
    """Sizes of the network. `phones` and `shapes` are the heads' widths (data_pipeline/synthetic/phonemes.py)."""

    width: int = 144
    features: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 8, 4, 1)
    phones: int = 64
    shapes: int = 4


@struct.dataclass
class AudioOutput:
    """`features_BTM` of unit mean square; `phones_BTC` logits; `shapes_BT4` open, spread, teeth, tongue; at 50 Hz."""

    features_BTM: jax.Array
    phones_BTC: jax.Array
    shapes_BT4: jax.Array


class AudioEncoder(nn.Module):
    """Log-mels [B, 2T, 40] at 100 Hz to `AudioOutput` at 50 Hz; feature j is centred on the instant j / 50 s."""

    config: AudioEncoderConfig = AudioEncoderConfig()

    @nn.compact
    def __call__(self, mels_BT40: Float[Array, "B T2 40"]) -> AudioOutput:
        c = self.config
        x_BTD = nn.Conv(c.width, (6,), strides=2, padding=((2, 2),), name="stem")(mels_BT40)
        for i, dilation in enumerate(c.dilations):
            h_BTD = nn.silu(nn.RMSNorm(name=f"norm_{i}")(x_BTD))
            h_BTD = nn.Conv(c.width, (3,), kernel_dilation=dilation, name=f"conv_{i}")(h_BTD)
            x_BTD = x_BTD + nn.Dense(c.width, name=f"mix_{i}")(nn.silu(h_BTD))
        features_BTM = nn.RMSNorm(use_scale=False)(nn.Dense(c.features, name="features")(x_BTD))
        return AudioOutput(
            features_BTM,
            nn.Dense(c.phones, name="phones")(features_BTM),
            nn.Dense(c.shapes, name="shapes")(features_BTM),
        )


@cache
def mel_filters() -> np.ndarray:
    """Triangular filters [257, 40], evenly spaced in mel (2595 log10(1 + f / 700)) from 60 to 7600 Hz."""
    edges_mel = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 7600 / 700), BANDS + 2)
    edges_hz = 700 * (10 ** (edges_mel / 2595) - 1)
    bins_hz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)[:, None]
    rising = (bins_hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def log_mel(wave: np.ndarray) -> np.ndarray:
    """Log-mel spectrum [T, 40] at 100 Hz of mono 16 kHz sound (int16, or float in [-1, 1]); T is even.

    Frame i is centred on i / 100 s. The mean over the frames within 30 dB of the loud ones is subtracted, so neither
    loudness, nor the microphone's colour, nor the share of silence shifts what the network sees.
    """
    sound = wave.astype(np.float32) / 32768 if np.issubdtype(wave.dtype, np.integer) else wave.astype(np.float32)
    count = 2 * max(1, -(-len(sound) // (2 * _HOP)))
    sound = np.pad(sound, (_WINDOW // 2, max(0, count * _HOP + _WINDOW - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::_HOP][:count]
    window = np.hanning(_WINDOW).astype(np.float32)
    power = np.concatenate(
        [
            np.abs(np.fft.rfft(part * window, _FFT)) ** 2 @ mel_filters()
            for part in np.array_split(frames, -(-count // 4096))
        ]
    )
    energy = power.mean(-1)
    loud = np.quantile(energy, 0.95)
    logs = np.log(power + 1e-4 * energy.mean() + 1e-7)
    return (logs - logs[energy >= 1e-3 * loud].mean(0)).astype(np.float32)


@partial(jax.jit, static_argnums=0)
def _encode(config: AudioEncoderConfig, params, mels_BT40: jax.Array) -> AudioOutput:
    heard: Any = AudioEncoder(config).apply({"params": params}, mels_BT40)
    return heard


def encode_recording(params, wave: np.ndarray, config: AudioEncoderConfig = AudioEncoderConfig()) -> AudioOutput:
    """A whole mono 16 kHz recording, any length, as numpy arrays [T, ...] at 50 Hz without a batch axis.

    Runs in chunks of one shape with context on both sides, so memory stays small and one compilation serves every
    length; the recording's ends are continued by their last frame.
    """
    mels = log_mel(wave)
    count = len(mels) // 2
    chunks = -(-count // _CHUNK)
    padded = np.pad(mels, ((2 * _CONTEXT, 2 * (chunks * _CHUNK - count + _CONTEXT)), (0, 0)), mode="edge")
    parts = []
    for i in range(chunks):
        start = 2 * i * _CHUNK
        out = _encode(config, params, jnp.asarray(padded[None, start : start + 2 * (_CHUNK + 2 * _CONTEXT)]))
        parts.append(jax.tree.map(lambda x: np.asarray(x[0, _CONTEXT : _CONTEXT + _CHUNK]), out))
    return jax.tree.map(lambda *xs: np.concatenate(xs)[:count], *parts)


def audio_tokens(features_TM: np.ndarray, times_s: np.ndarray, tokens: int = 8) -> np.ndarray:
    """Audio beside each frame: [T, U, M] features at t + (-3.5 .. 3.5) * 20 ms, linearly interpolated at exact times.

    Times before the start or after the end take the first or last feature.
    """
    offsets_U = np.arange(tokens) - (tokens - 1) / 2
    where_TU = np.asarray(times_s, np.float64)[:, None] * FEATURE_RATE + offsets_U
    where_TU = np.clip(where_TU, 0, len(features_TM) - 1)
    low_TU = np.minimum(where_TU.astype(np.int64), max(len(features_TM) - 2, 0))
    share_TU1 = (where_TU - low_TU).astype(features_TM.dtype)[..., None]
    high_TU = np.minimum(low_TU + 1, len(features_TM) - 1)
    return features_TM[low_TU] * (1 - share_TU1) + features_TM[high_TU] * share_TU1
